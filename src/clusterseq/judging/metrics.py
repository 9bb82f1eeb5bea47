"""Ranks, what is computed from them, and how sure one can be of it.

The rank of a target is 1 + the number of candidates scored better + half of those scored equal, so
that a constant scorer lands in the middle. Every metric is a pure function of ranks; the intervals
and the test between two models resample people, not ranks of one person.

Knows nothing about: models, histories, which candidates a protocol admits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from clusterseq.checks import whole
from clusterseq.errors import ConfigError, DataError

Ranks: TypeAlias = Float64[np.ndarray, " users"]
Values: TypeAlias = Float64[np.ndarray, " users"]


def rank_of_target(
    scores: Float[Tensor, "users items"],
    targets: Int[Tensor, " users"],
    excluded: Bool[Tensor, "users items"] | None = None,
) -> Ranks:
    """Rank each person's target among the items that are not excluded; the target never is.

    >>> scores = torch.tensor([[0.9, 0.5, 0.5, 0.1], [0.9, 0.5, 0.5, 0.1]])
    >>> seen = torch.tensor([[False] * 4, [True, True, False, False]])
    >>> rank_of_target(scores, torch.tensor([1, 1])).tolist()
    [2.5, 2.5]
    >>> rank_of_target(scores, torch.tensor([1, 1]), seen).tolist()
    [2.5, 1.5]
    """
    column = targets[:, None]
    target_scores = scores.gather(1, column)
    rivals = torch.ones_like(scores, dtype=torch.bool) if excluded is None else ~excluded
    rivals = rivals.scatter(1, column, False)
    better = ((scores > target_scores) & rivals).sum(1)
    equal = ((scores == target_scores) & rivals).sum(1)
    ranks: Ranks = (1 + better + equal.double() / 2).numpy(force=True)
    return ranks


def reciprocal_rank(ranks: Ranks) -> Values:
    """1 / rank of each person; its mean is MRR.

    >>> reciprocal_rank(np.array([1.0, 2.5, 4.0])).tolist()
    [1.0, 0.4, 0.25]
    """
    return 1 / ranks


def hit(ranks: Ranks, depth: int) -> Values:
    """1 where the rank is within the depth, else 0; its mean is HR@depth.

    >>> hit(np.array([1.0, 5.0, 5.5]), depth=5).tolist()
    [1.0, 1.0, 0.0]
    """
    return (ranks <= depth).astype(np.float64)


def discounted_hit(ranks: Ranks, depth: int) -> Values:
    """1 / log2(1 + rank) within the depth, else 0; with one target its mean is NDCG@depth.

    >>> discounted_hit(np.array([1.0, 3.0, 7.0]), depth=5).tolist()
    [1.0, 0.5, 0.0]
    """
    values: Values = hit(ranks, depth) / np.log2(1 + ranks)
    return values


METRICS: Mapping[str, Callable[[Ranks], Values]] = {
    "mrr": reciprocal_rank,
    "hr@1": partial(hit, depth=1),
    "hr@5": partial(hit, depth=5),
    "hr@10": partial(hit, depth=10),
    "ndcg@5": partial(discounted_hit, depth=5),
    "ndcg@10": partial(discounted_hit, depth=10),
}


def metrics_of_ranks(ranks: Ranks) -> dict[str, float]:
    """Mean of every metric over at least one person.

    >>> {name: round(value, 2) for name, value in metrics_of_ranks(np.array([1.0, 4.0])).items()}
    {'mrr': 0.62, 'hr@1': 0.5, 'hr@5': 1.0, 'hr@10': 1.0, 'ndcg@5': 0.72, 'ndcg@10': 0.72}
    """
    return {name: float(metric(ranks).mean()) for name, metric in METRICS.items()}


def intervals_of_ranks(ranks: Ranks, *, seed: int = 0) -> dict[str, tuple[float, float]]:
    """95 % bootstrap interval of every metric's mean over people.

    Raises:
        ConfigError: the seed is no whole number, or negative.
    """
    return {
        name: bootstrap_interval(metric(ranks), np.random.default_rng(whole("seed", seed)))
        for name, metric in METRICS.items()
    }


def bootstrap_interval(
    values: Values, generator: np.random.Generator, *, resamples: int = 1000
) -> tuple[float, float]:
    """95 % percentile interval of the mean when people are drawn anew with replacement.

    >>> bootstrap_interval(np.full(20, 0.25), np.random.default_rng(0))
    (0.25, 0.25)
    """
    # Drawing people is drawing how often each distinct value comes: the same law, but the work and
    # the memory follow the distinct values instead of the people.
    distinct, counts = np.unique(values, return_counts=True)
    total = len(values)
    draws = (generator.multinomial(total, counts / total) for _ in range(resamples))
    means = np.array([draw @ distinct / total for draw in draws])
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


FLIPS_AT_ONCE = 100


def _signs(
    rows: int, people: int, generator: np.random.Generator
) -> Float64[np.ndarray, "rows people"]:
    """Fair coins, −1 or 1, one bit of randomness each."""
    drawn = generator.integers(0, 256, (rows, -(-people // 8)), dtype=np.uint8)
    return 2.0 * np.unpackbits(drawn, axis=1, count=people) - 1.0


@dataclass(frozen=True)
class PairedTest:
    """Model A against model B over the same people."""

    difference: float
    """Mean of the metric under A minus under B."""
    ci95: tuple[float, float]
    """95 % bootstrap interval of the difference."""
    p_value: float
    """Two-sided, from random flips of the signs of people's differences."""


def paired_test(
    ranks_a: Ranks,
    ranks_b: Float64[np.ndarray, " others"],
    *,
    metric: str = "mrr",
    flips: int = 10_000,
    seed: int = 0,
) -> PairedTest:
    """Test whether A ranks better than B (positive difference) beyond the luck of the people drawn.

    Raises:
        DataError: the ranks are not of the same number of people.
        ConfigError: there is no such metric, or the seed is no whole number or negative.
    """
    if metric not in METRICS:
        raise ConfigError(f"metric = {metric!r} can't be used; give {', '.join(METRICS)}")
    if len(ranks_a) != len(ranks_b):
        raise DataError(f"{len(ranks_a)} ranks against {len(ranks_b)}; evaluate the same people")
    generator = np.random.default_rng(whole("seed", seed))
    differences = METRICS[metric](ranks_a) - METRICS[metric](ranks_b)
    total = differences.sum()
    flipped = np.concatenate(
        [
            _signs(min(FLIPS_AT_ONCE, flips - start), len(differences), generator) @ differences
            for start in range(0, flips, FLIPS_AT_ONCE)
        ]
    )
    as_extreme = int((np.abs(flipped) >= abs(total) - 1e-9).sum())
    interval = bootstrap_interval(differences, generator)
    return PairedTest(float(total) / len(differences), interval, (1 + as_extreme) / (1 + flips))
