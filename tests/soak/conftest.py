"""The soak tests: a few cases in ``make test``, very many with ``--soak`` (``make soak``)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

FEW = 50
"""Cases of each fuzzed target without ``--soak``."""


@pytest.fixture(scope="session")
def soaking(request: pytest.FixtureRequest) -> bool:
    """Whether it may take long."""
    return bool(request.config.getoption("--soak"))


@pytest.fixture(scope="session")
def cases(request: pytest.FixtureRequest, soaking: bool) -> Callable[[int], int]:
    """How many cases to run of a target, of which a soak runs so many thousand."""
    share: float = request.config.getoption("--soak-share")
    return lambda thousands: int(1_000 * thousands * share) if soaking else FEW


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was fuzzed, how often, and how fast."""
    total = 0
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "fuzzed":
                good, refused, seconds, grown = value
                total += good + refused
                terminalreporter.write_line(
                    f"{report.nodeid.partition('::')[2]}: {good + refused:,} cases, {good:,} read, "
                    f"{refused:,} refused, {(good + refused) / max(seconds, 0.1):,.0f} a second, "
                    f"{grown} MiB grown"
                )
    if total:
        terminalreporter.write_line(f"{total:,} fuzzed cases in all")
