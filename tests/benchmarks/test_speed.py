"""The speed benchmark's own arithmetic; how fast anything is, no test asks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.speed.figures import Figure, percentile, seconds
from benchmarks.speed.table import markdown
from benchmarks.speed.world import people

MACHINE = {"processor": "P", "threads": 2, "gflops": 100.4, "gbytes": 20.0}
VERSIONS = {"torch": "2", "clusterseq": "0", "python": "3", "numpy": "2", "polars": "1"}


@pytest.mark.parametrize(
    ("target", "met"),
    [
        ("ratio >= 30", True),
        ("ratio >= 31", False),
        ("value <= 2", True),
        ("value <= 1", False),
        ("", None),
    ],
)
def test_a_target_is_compared_with_what_it_names(target: str, met: bool | None) -> None:
    assert Figure("s", "n", 1.5, "ms", "rival", 30.5, target).met is met


def test_without_a_ratio_its_target_is_open() -> None:
    assert Figure("s", "n", 1.5, "ms", target="ratio >= 1").met is None


def test_percentiles_stand_in_the_list() -> None:
    values = [float(value) for value in range(100)]
    assert [percentile(values, share) for share in (0, 0.5, 0.99, 1)] == [0, 50, 99, 99]


def test_warming_up_does_not_count() -> None:
    calls: list[int] = []
    assert seconds(lambda: calls.append(1), runs=3, warm=2) >= 0
    assert len(calls) == 5


def test_the_page_says_what_was_missed() -> None:
    fast = Figure("part", "fast", 1234.5, "users/s", "rival", 40.0, "ratio >= 30")
    slow = Figure("part", "slow", 3.0, "ms", target="value <= 2")
    found = {"machine": {**MACHINE, **VERSIONS}, "figures": [vars(fast), vars(slow)]}
    page = markdown({"part": json.loads(json.dumps(found))})
    assert "| fast | 1,234 users/s | rival | 40.00 | ratio >= 30 | met |" in page
    assert "| slow | 3 ms |  |  | value <= 2 | **not met** |" in page


def test_generated_people_favour_popular_items_and_follow() -> None:
    known = people(2_000, 500)
    assert known.lengths.min() >= 5
    assert known.lengths.mean() == pytest.approx(9, abs=0.5)
    counts = np.bincount(known.items, minlength=500)
    assert counts[:50].sum() > 3 * counts[-50:].sum()
    again = people(2_000, 500)
    assert np.array_equal(known.items, again.items)
    assert not np.array_equal(people(2_000, 500, seed=1).items[:99], known.items[:99])


def test_results_are_of_this_page() -> None:
    """The page that is kept was made from the numbers that are kept."""
    folder = Path(__file__).parents[2] / "benchmarks"
    results = json.loads((folder / "results.json").read_text())
    assert (folder / "RESULTS.md").read_text() == markdown(results)
