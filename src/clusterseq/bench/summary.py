"""What rows and ranks come to: means over seeds, how sure they are, tests, groups and costs.

A person can be tested under several seeds, and still is one person: intervals draw people with all
their seeds, and a test compares each person's mean over the seeds that both models have.

Knows nothing about: how rows came about, how figures look.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import polars as pl
from jaxtyping import Float64

from clusterseq.bench.own import OWN
from clusterseq.bench.results import DONE, FAILED, Cell, Row, cell_of
from clusterseq.judging.evaluate import GROUPS, RANKINGS
from clusterseq.judging.metrics import METRICS, PairedTest, paired_test
from clusterseq.machine.progress import Progress
from clusterseq.showing.figures import with_interval

COSTS = ("train_s", "tuning_s", "newcomer_ms", "parameters", "peak_mb", "start_mb")
RESAMPLES, FLIPS = 1000, 2000

RanksOf: TypeAlias = Callable[[Cell], pl.DataFrame]


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its 95 % interval over people."""

    mean: float
    """Mean over seeds of the mean over people."""
    low: float
    """Lower end."""
    high: float
    """Upper end."""

    def __str__(self) -> str:
        return with_interval(self.mean, (self.low, self.high))


Figures: TypeAlias = Mapping[str, Estimate]


@dataclass(frozen=True)
class GroupFigures:
    """How a model serves the minor or the major users."""

    users: int
    """Distinct people."""
    full: Figures
    """Metrics in the full catalogue."""
    sampled: Figures
    """Metrics among sampled negatives."""


@dataclass(frozen=True)
class Entry:
    """One model on one data set at one K."""

    model: str
    """Its name."""
    group: str
    """classical, neural, meta or ours."""
    seeds: tuple[int, ...]
    """The seeds that are done."""
    users: int
    """Distinct people over all seeds."""
    full: Figures
    """Metrics in the full catalogue."""
    sampled: Figures
    """Metrics among sampled negatives."""
    groups: Mapping[str, GroupFigures]
    """The same of minor and major users; a group of nobody is left out."""
    mrr_by_seed: Mapping[str, float]
    """Full-catalogue MRR of each seed."""
    ratio: float | None
    """Full-catalogue MRR over ClusterSeq's, on the seeds of both."""
    test: PairedTest | None
    """Full-catalogue MRR less ClusterSeq's, over distinct people; None for ClusterSeq itself."""
    costs: Mapping[str, float | None]
    """Means over seeds: seconds, milliseconds, parameters, MiB."""
    timed: int
    """Newcomers behind the milliseconds, of the seed that timed the fewest."""
    threads: tuple[int, ...]
    """Threads that each seed was given; 0 is the library's choice."""
    options: Mapping[str, Any]
    """The options chosen under each seed."""

    def group_mrr(self, group: str, ranking: str = "full") -> Estimate | None:
        """The MRR of minor or major users; None where nobody is one."""
        if group not in self.groups:
            return None
        figures: Figures = getattr(self.groups[group], ranking)
        return figures["mrr"]


@dataclass(frozen=True)
class Board:
    """All models on one data set at one K, the best first."""

    dataset: str
    """Name of the data set."""
    split: str
    """How its users are split."""
    k: int
    """Support items of each newcomer."""
    items: float
    """Size of the catalogue, mean over seeds."""
    known: float
    """Known people, mean over seeds."""
    coverage: float
    """Share of newcomers' events in the catalogue, mean over seeds."""
    entries: tuple[Entry, ...]
    """The models by falling MRR."""

    @property
    def title(self) -> str:
        """What the table is of."""
        return f"{self.dataset} ({self.split}), K = {self.k}"


@dataclass(frozen=True)
class Summary:
    """Everything that a directory of results comes to."""

    boards: tuple[Board, ...]
    """By data set, split and K."""
    failed: tuple[Row, ...]
    """Rows that have failed."""

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON holds it."""
        names = ("dataset", "split", "seed", "k", "model", "error")
        return {
            "reference": OWN,
            "results": [dataclasses.asdict(board) for board in self.boards],
            "failed": [{name: row[name] for name in names} for row in self.failed],
        }


def summarise(rows: Iterable[Row], ranks_of: RanksOf, progress: Progress | None = None) -> Summary:
    """Sum up rows of one kind of events and settings each, as ``in_force`` gives them."""
    rows = list(rows)
    grouped: dict[tuple[str, str, int], list[Row]] = {}
    for row in rows:
        if row["status"] == DONE:
            grouped.setdefault((row["dataset"], row["split"], row["k"]), []).append(row)
    boards = []
    for done, key in enumerate(sorted(grouped), start=1):
        boards.append(_board(*key, grouped[key], ranks_of))
        if progress:
            progress(done, len(grouped))
    return Summary(tuple(boards), tuple(row for row in rows if row["status"] == FAILED))


def estimates(ranks: Float64[np.ndarray, " lines"], people: pl.DataFrame) -> dict[str, Estimate]:
    """Every metric's mean over seeds, and its interval when people are drawn with all their seeds.

    ``people`` has a line per rank: ``user`` and ``seed``. Each seed weighs the same.

    >>> people = pl.DataFrame({"user": [0, 1, 0], "seed": [0, 0, 1]})
    >>> estimates(np.array([1.0, 2.0, 4.0]), people)["mrr"].mean
    0.5
    """
    _, seeds, sizes = np.unique(people["seed"], return_inverse=True, return_counts=True)
    users, indices = np.unique(people["user"], return_inverse=True)
    weights = 1 / sizes[seeds]
    values = np.stack([weights, *(weights * metric(ranks) for metric in METRICS.values())], axis=1)
    sums = np.zeros((len(users), values.shape[1]))
    np.add.at(sums, indices, values)
    generator = np.random.default_rng(0)
    samples = np.stack([_bootstrap_counts(len(users), generator) @ sums for _ in range(RESAMPLES)])
    low, high = np.percentile(samples[:, 1:] / samples[:, :1], [2.5, 97.5], axis=0)
    mean = sums[:, 1:].sum(axis=0) / sums[:, 0].sum()
    return {
        name: Estimate(float(mean[index]), float(low[index]), float(high[index]))
        for index, name in enumerate(METRICS)
    }


def _bootstrap_counts(people: int, generator: np.random.Generator) -> np.ndarray:
    """How often each of some people comes when as many are drawn with replacement."""
    return np.bincount(generator.integers(0, people, people), minlength=people)


def compare_people(ranks: pl.DataFrame, own: pl.DataFrame) -> tuple[float, PairedTest] | None:
    """A model's MRR over ClusterSeq's and the test between them, on the seeds that both have.

    >>> ranks = pl.DataFrame({"user": [7, 7], "seed": [0, 1], "full_rank": [1.0, 4.0]})
    >>> own = pl.DataFrame({"user": [7, 8], "seed": [0, 0], "full_rank": [2.0, 4.0]})
    >>> ratio, test = compare_people(ranks, own)
    >>> ratio, test.difference
    (2.0, 0.5)
    """
    both = ranks.join(own, on=["user", "seed"], suffix="_own")
    if not len(both):
        return None
    reciprocal = pl.col("full_rank", "full_rank_own").pow(-1).mean()
    means = both.group_by("seed").agg(reciprocal).sum()
    ratio = means["full_rank"].item() / means["full_rank_own"].item()
    # The harmonic mean of a person's ranks: its reciprocal is the mean of their reciprocal ranks.
    persons = both.group_by("user").agg(reciprocal.pow(-1)).sort("user")
    test = paired_test(
        persons["full_rank"].to_numpy(), persons["full_rank_own"].to_numpy(), flips=FLIPS
    )
    return float(ratio), test


def _board(dataset: str, split: str, k: int, rows: Sequence[Row], ranks_of: RanksOf) -> Board:
    models: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row["seed"]):
        models.setdefault(row["model"], []).append(row)
    reference = _people(models[OWN], ranks_of) if OWN in models else None
    entries = [_entry(group, _people(group, ranks_of), reference) for group in models.values()]
    entries.sort(key=lambda entry: -entry.full["mrr"].mean)
    seeds = list({row["seed"]: row for row in rows}.values())
    means = {
        name: statistics.fmean(r[name] for r in seeds) for name in ("items", "known", "coverage")
    }
    return Board(dataset, split, k, **means, entries=tuple(entries))


def _people(rows: Sequence[Row], ranks_of: RanksOf) -> pl.DataFrame:
    """The ranks of all seeds, one below the other."""
    return pl.concat(
        ranks_of(cell_of(row)).with_columns(seed=pl.lit(row["seed"], pl.Int64)) for row in rows
    )


def _entry(rows: Sequence[Row], people: pl.DataFrame, reference: pl.DataFrame | None) -> Entry:
    first = rows[0]
    compared = None if reference is None else compare_people(people, reference)
    ratio, test = compared or (None, None)
    return Entry(
        model=first["model"],
        group=first["group"],
        seeds=tuple(row["seed"] for row in rows),
        users=people["user"].n_unique(),
        **_both(people),
        groups={
            group: GroupFigures(part["user"].n_unique(), **_both(part))
            for group in GROUPS
            if len(part := people.filter(pl.col("group") == group))
        },
        mrr_by_seed={str(row["seed"]): row["full_mrr"] for row in rows},
        ratio=ratio,
        test=None if first["model"] == OWN else test,
        costs={name: _mean([row[name] for row in rows]) for name in COSTS},
        timed=min(row["newcomers_timed"] for row in rows),
        threads=tuple(row["threads"] for row in rows),
        options={str(row["seed"]): json.loads(row["options"]) for row in rows},
    )


def _both(people: pl.DataFrame) -> dict[str, dict[str, Estimate]]:
    return {
        ranking: estimates(people[f"{ranking}_rank"].to_numpy(), people) for ranking in RANKINGS
    }


def _mean(values: Sequence[float | int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None
