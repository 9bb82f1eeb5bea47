"""The plan of docs/scaling.md by measured constants: ``python -m benchmarks.scaling``.

Constants come from the small sizes of benchmarks/results.json (sections *growth* and *prepare*),
the large sizes say how far off the predictions are, and the plan applies them to sizes beyond. All
of it is for 1 × 64 and the machine of those sections.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results.json")
PER_USER = 9.0
"""Events of a generated person."""
BATCH = 256
"""People in a batch, of both stages."""
WIDTH = 64
EPOCHS = {"pretraining epoch": 6, "meta-training epoch": 3}
NIGHT_HOURS = 12
STATES = 5
"""Tables of parameters while training: the parameters, gradients, two moments, the best so far."""
MEMORY_ENTRIES = 2 * 1_000
"""Most entries of the neighbour memory for an item, of both kinds."""
GIB = 2**30


@dataclass(frozen=True)
class Rate:
    """What something costs: for each event, and for each item in each step."""

    event: float
    """Seconds."""
    row: float
    """Seconds."""

    def seconds(self, users: float, items: float) -> float:
        """Of an epoch, or of preparing once."""
        return self.event * PER_USER * users + self.row * items * users / BATCH


def main() -> None:
    """Print the three tables."""
    results = json.loads(RESULTS.read_text())
    costs = {name: _by_size(results["growth"], name) for name in ("preparing", *EPOCHS, "memory")}
    print("\n".join(_predictions(costs, results)))
    print()
    print("\n".join(_plan({name: _rate(costs[name]) for name in ("preparing", *EPOCHS)})))


Sizes = dict[tuple[int, int], float]
"""Figures by users and items."""


def _by_size(section: dict[str, Any], name: str) -> Sizes:
    found: Sizes = {}
    for figure in section["figures"]:
        what, _, rest = figure["name"].partition(", ")
        if what == name and rest:
            numbers = {
                word: int(number.replace(",", ""))
                for number, word in (part.split(" ") for part in rest.split(", "))
            }
            found[numbers["users"], numbers["items"]] = figure["value"]
    return found


def _rate(sizes: Sizes) -> Rate:
    """From 10,000 to 100,000 users, and from 10,000 to 100,000 items: more make nothing cheaper."""
    event = (sizes[100_000, 12_000] - sizes[10_000, 12_000]) / (PER_USER * 90_000)
    more = max(0.0, sizes[100_000, 100_000] - sizes[100_000, 10_000])
    row = more / (90_000 * 100_000 / BATCH)
    return Rate(event - row * 12_000 / BATCH / PER_USER, row)


def _predictions(costs: dict[str, Sizes], results: dict[str, Any]) -> Iterator[str]:
    yield "| what, at a size that no constant comes from | predicted | measured | off by |"
    yield "|---|--:|--:|--:|"
    for name in ("preparing", *EPOCHS):
        rate = _rate(costs[name])
        for (users, items), measured in costs[name].items():
            if users > 100_000 or items > 100_000:
                size = f"{PER_USER * users / 1e6:.0f}M events, {items:,} items"
                yield _row(f"{name}, {size}", rate.seconds(users, items), measured, "s")
    events = {f["name"]: f["value"] for f in results["prepare"]["figures"]}
    each = events["1,000,000 events"] / 1e6
    for size in ("10,000,000", "50,000,000"):
        predicted = each * float(size.replace(",", ""))
        yield _row(f"`prepare`, {size} events", predicted, events[f"{size} events"], "s")
    memory = costs["memory"]
    each = (memory[1_100_000, 12_000] - memory[100_000, 12_000]) / 1e6
    yield _row(
        "memory of training, 50M events, 12,000 items",
        memory[100_000, 12_000] + each * 5_400_000,
        memory[5_500_000, 12_000],
        "MiB",
    )
    row = (memory[100_000, 100_000] - memory[100_000, 10_000]) / 90_000
    yield _row(
        "memory of training, 1,000,000 items",
        memory[100_000, 10_000] + row * 990_000,
        memory[100_000, 1_000_000],
        "MiB",
    )


def _row(what: str, predicted: float, measured: float, unit: str) -> str:
    off = 100 * (predicted / measured - 1)
    return f"| {what} | {predicted:,.0f} {unit} | {measured:,.0f} {unit} | {off:+.0f} % |"


def _plan(rates: dict[str, Rate]) -> Iterator[str]:
    yield "| users × items | data set | tables | memory ≤ | network a step | hours | machines |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    for users, items in ((1e6, 1e5), (1e6, 1e7), (1e8, 1e5), (1e8, 1e7)):
        data = 12 * PER_USER * users + 8 * users
        tables = 4 * STATES * WIDTH * items
        memory = 8 * MEMORY_ENTRIES * items
        network = 2 * 4 * WIDTH * items
        hours = rates["preparing"].seconds(users, items) / 3600
        hours += sum(rates[n].seconds(users, items) * often for n, often in EPOCHS.items()) / 3600
        size = " × ".join(f"10^{len(f'{number:.0f}') - 1}" for number in (users, items))
        yield (
            f"| {size} | {data / GIB:,.1f} GiB "
            f"| {tables / GIB:,.1f} GiB | {memory / GIB:,.1f} GiB | {network / GIB:,.2f} GiB "
            f"| {hours:,.0f} | {max(1, round(hours / NIGHT_HOURS)):,} |"
        )


if __name__ == "__main__":
    main()
