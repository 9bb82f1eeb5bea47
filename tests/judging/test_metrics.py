"""Ranks, metrics, intervals and the paired test, against values computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from clusterseq.baselines.peer import Setting
from clusterseq.data.sequences import Sequences
from clusterseq.errors import ConfigError, DataError
from clusterseq.judging.metrics import (
    METRICS,
    Ranks,
    bootstrap_interval,
    intervals_of_ranks,
    metrics_of_ranks,
    paired_test,
    rank_of_target,
)

# Few distinct scores, so that ties are common.
ONE_PERSON = hnp.arrays(np.float32, st.integers(2, 30), elements=st.sampled_from([-1.0, 0.0, 0.5]))
SOME_RANKS = hnp.arrays(
    np.float64, st.integers(1, 40), elements=st.integers(2, 60).map(lambda halves: halves / 2)
)


def rank(scores: list[float] | np.ndarray, target: int, excluded: list[int] | None = None) -> float:
    row = torch.tensor(np.asarray(scores, dtype=np.float32))[None]
    out = torch.zeros(row.shape, dtype=torch.bool)
    out[0, excluded or []] = True
    return float(rank_of_target(row, torch.tensor([target]), out)[0])


@pytest.mark.parametrize(
    ("scores", "target", "excluded", "expected"),
    [
        ([3, 2, 1], 0, [], 1.0),
        ([3, 2, 1], 2, [], 3.0),
        ([3, 3, 1], 1, [], 1.5),
        ([2, 2, 2, 2], 3, [], 2.5),
        ([5, 2, 2, 2, 1], 2, [], 3.0),
        ([5, 2, 2, 2, 1], 2, [0], 2.0),
        ([5, 2, 2, 2, 1], 2, [0, 1, 3], 1.0),
        ([5, 2, 1], 1, [0, 1], 1.0),  # an excluded target still competes
    ],
)
def test_rank_by_hand(
    scores: list[float], target: int, excluded: list[int], expected: float
) -> None:
    assert rank(scores, target, excluded) == expected


def test_every_person_has_their_own_target_and_exclusions() -> None:
    scores = torch.tensor([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    excluded = torch.tensor([[True, False, False], [False, False, False]])
    assert rank_of_target(scores, torch.tensor([1, 2]), excluded).tolist() == [1.0, 3.0]


def test_metrics_by_hand() -> None:
    metrics = metrics_of_ranks(np.array([1.0, 2.5, 10.0, 10.5]))
    log2 = math.log2
    assert metrics == pytest.approx(
        {
            "mrr": (1 + 1 / 2.5 + 1 / 10 + 1 / 10.5) / 4,
            "hr@1": 1 / 4,
            "hr@5": 2 / 4,
            "hr@10": 3 / 4,
            "ndcg@5": (1 + 1 / log2(3.5)) / 4,
            "ndcg@10": (1 + 1 / log2(3.5) + 1 / log2(11)) / 4,
        }
    )


@given(ONE_PERSON, st.randoms(use_true_random=False))
def test_reordering_items_leaves_the_rank(scores: np.ndarray, random: object) -> None:
    order = np.random.default_rng(random.getrandbits(32)).permutation(len(scores))  # type: ignore[attr-defined]
    assert rank(scores[order], int(np.argmin(order))) == rank(scores, 0)


@given(ONE_PERSON, st.sampled_from([0.5, 1.0]))
def test_a_better_target_never_ranks_worse(scores: np.ndarray, gain: float) -> None:
    better = scores.copy()
    better[0] += gain
    assert rank(better, 0) <= rank(scores, 0)


@given(ONE_PERSON)
def test_negated_scores_mirror_the_rank(scores: np.ndarray) -> None:
    assert rank(scores, 0) + rank(-scores, 0) == len(scores) + 1


@given(st.integers(1, 50), st.floats(-5, 5, width=32))
def test_a_constant_scorer_ranks_in_the_middle(n_items: int, score: float) -> None:
    assert rank([score] * n_items, 0) == (1 + n_items) / 2


@given(SOME_RANKS)
def test_better_ranks_never_lower_a_metric(ranks: Ranks) -> None:
    worse = metrics_of_ranks(ranks + 0.5)
    assert all(value >= worse[name] for name, value in metrics_of_ranks(ranks).items())


@given(SOME_RANKS)
def test_an_interval_lies_within_the_values_and_forgets_their_order(ranks: Ranks) -> None:
    values = 1 / ranks
    low, high = bootstrap_interval(values, np.random.default_rng(0), resamples=50)
    assert values.min() - 1e-12 <= low <= high <= values.max() + 1e-12
    again = bootstrap_interval(values[::-1].copy(), np.random.default_rng(0), resamples=50)
    assert again == (low, high)


def test_interval_agrees_with_the_normal_approximation() -> None:
    hits = np.repeat([1.0, 0.0], [150, 850])
    half_width = 1.96 * math.sqrt(0.15 * 0.85 / 1000)
    interval = bootstrap_interval(hits, np.random.default_rng(0), resamples=4000)
    assert interval == pytest.approx((0.15 - half_width, 0.15 + half_width), abs=0.002)


def test_every_metric_has_an_interval_around_its_mean() -> None:
    ranks = np.arange(1.0, 40.0)
    intervals = intervals_of_ranks(ranks)
    assert list(intervals) == list(METRICS)
    for name, mean in metrics_of_ranks(ranks).items():
        low, high = intervals[name]
        assert low < mean < high


def test_intervals_and_tests_repeat_with_their_seed() -> None:
    ranks, others = np.arange(1.0, 40.0), np.arange(2.0, 41.0)
    assert intervals_of_ranks(ranks, seed=1) == intervals_of_ranks(ranks, seed=1)
    assert intervals_of_ranks(ranks, seed=1) != intervals_of_ranks(ranks, seed=2)
    assert paired_test(ranks, others, flips=100) == paired_test(ranks, others, flips=100)


def test_a_seed_that_cannot_be_used_is_told() -> None:
    ranks = np.arange(1.0, 40.0)
    with pytest.raises(
        ConfigError, match="seed = -1 can't be used; give a whole number, 0 or more"
    ):
        intervals_of_ranks(ranks, seed=-1)
    with pytest.raises(ConfigError, match="seed = -1 can't be used"):
        paired_test(ranks, ranks, seed=-1)
    with pytest.raises(ConfigError, match="seed = -1 can't be used"):
        Setting(Sequences.from_rows([]), Sequences.from_rows([]), 3, seed=-1)


def test_paired_test_against_all_sign_flips() -> None:
    a, b = np.array([1.0, 1.0, 2.0, 5.0]), np.array([2.0, 4.0, 4.0, 4.0])
    differences = 1 / a - 1 / b
    signs = np.array(np.meshgrid(*[[-1, 1]] * 4)).reshape(4, -1)
    exact = np.mean(np.abs(differences @ signs) >= abs(differences.sum()) - 1e-9)
    result = paired_test(a, b, flips=100_000)
    assert result.difference == pytest.approx(differences.mean())
    assert result.p_value == pytest.approx(exact, abs=0.01)


def test_paired_test_finds_a_real_difference_and_none_between_equals() -> None:
    generator = np.random.default_rng(3)
    ranks = generator.integers(1, 50, 400).astype(float)
    better = np.maximum(1.0, ranks - generator.integers(0, 3, 400))
    found, mirrored = paired_test(better, ranks), paired_test(ranks, better)
    assert found.p_value < 0.001
    assert found.ci95[0] > 0
    assert mirrored.difference == -found.difference
    same = paired_test(ranks, ranks)
    assert (same.difference, same.ci95, same.p_value) == (0.0, (0.0, 0.0), 1.0)
    assert paired_test(ranks, ranks, flips=150).p_value == 1.0, "as many as asked for, in two goes"


def test_paired_test_takes_any_metric() -> None:
    a, b = np.array([1.0, 20.0, 3.0]), np.array([1.0, 5.0, 30.0])
    assert paired_test(a, b, metric="hr@10", flips=10).difference == 0.0
    assert paired_test(a, b, metric="hr@1", flips=10).p_value == 1.0


def test_paired_test_refuses_other_people() -> None:
    with pytest.raises(DataError, match="3 ranks against 2; evaluate the same people"):
        paired_test(np.ones(3), np.ones(2))


def test_an_unknown_metric_is_told() -> None:
    with pytest.raises(ConfigError, match="metric = 'mmr' can't be used; give mrr"):
        paired_test(np.ones(3), np.ones(3), metric="mmr")
