"""The judge: its two measures by hand, whatever the size of its bites."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from clusterseq.data.histories import Histories
from clusterseq.data.sequences import Sequences
from clusterseq.errors import TrainingError
from clusterseq.judging import judge
from clusterseq.judging.judge import judged_tasks, log_likelihood, mean_reciprocal_rank

LOGITS = torch.tensor([3.0, 2.0, 1.0, 0.0])
TASKS = judged_tasks(Sequences.from_rows([[0, 1, 3], [2, 0]]), np.random.default_rng(0))
"""Prefixes [0] → 1, [0, 1] → 3 and [2] → 0."""


def score(histories: Histories) -> Tensor:
    return LOGITS.expand(len(histories), -1)


def test_mrr_ranks_among_what_was_not_touched() -> None:
    assert mean_reciprocal_rank(score, TASKS) == pytest.approx((1 / 1 + 1 / 2 + 1 / 1) / 3)


def test_likelihood_is_of_the_softmax_over_what_was_not_touched() -> None:
    weights = LOGITS.exp().tolist()
    shares = [
        weights[1] / (weights[1] + weights[2] + weights[3]),
        weights[3] / (weights[2] + weights[3]),
        weights[0] / (weights[0] + weights[1] + weights[3]),
    ]
    expected = sum(map(math.log, shares)) / 3
    assert log_likelihood(score, TASKS) == pytest.approx(expected)


@pytest.mark.parametrize("measure", [mean_reciprocal_rank, log_likelihood])
def test_a_model_that_diverged_is_not_the_best(measure: Callable[..., float]) -> None:
    with pytest.raises(TrainingError, match="not finite"):
        measure(lambda histories: score(histories) * torch.nan, TASKS)


@pytest.mark.parametrize("at_once", [1, 2])
def test_bites_change_nothing(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    whole = mean_reciprocal_rank(score, TASKS), log_likelihood(score, TASKS)
    monkeypatch.setattr(judge, "SCORED_AT_ONCE", at_once)
    parts = mean_reciprocal_rank(score, TASKS), log_likelihood(score, TASKS)
    assert parts == pytest.approx(whole)
