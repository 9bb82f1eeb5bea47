"""Calibration: what newcomers fit, that it is an optimum, and that no start makes it diverge."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from clusterseq.judging.judge import judged_tasks, log_likelihood
from clusterseq.learning import calibrate as module
from clusterseq.learning.calibrate import calibrate, scalars
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.ranker import Ranker
from tests.tiny import N_ITEMS, VALIDATION, tiny, trained

TASKS = judged_tasks(VALIDATION, np.random.default_rng(0))


def unadapted() -> ClusterSeq:
    """A model whose score is what calibration fits: no inner loop, no clusters' gates."""
    return trained(tiny({"meta": "none", "conditioning": False}, meta_epochs=0))


@pytest.mark.parametrize("upset", [0.0, 2.0, -2.0])
def test_calibration_finds_the_same_likelihood_from_everywhere(upset: float) -> None:
    model = unadapted()
    best = calibrate(model, TASKS)
    with torch.no_grad():
        for value in scalars(model):
            value.add_(upset)
    assert calibrate(model, TASKS) == pytest.approx(best, abs=0.02)


@pytest.mark.parametrize("lifts", [False, True])
def test_what_it_says_is_what_the_model_scores(lifts: bool) -> None:
    options = {"meta": "none", "conditioning": False, "lifts": lifts}
    model = trained(tiny(options, meta_epochs=0))
    if model.lifts is not None:
        model.lifts.affinity.data.fill_(0.3)
        assert model.lifts.table.any()
    assert -calibrate(model, TASKS) == pytest.approx(
        log_likelihood(Ranker(model).score, TASKS), abs=1e-5
    )


def test_where_memory_is_short_it_reads_tasks_from_first_to_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, two = unadapted(), unadapted()
    last = len(TASKS) - 1
    monkeypatch.setattr(module, "ENOUGH", 3)
    expected = calibrate(one, TASKS[torch.tensor([0, last // 2, last])])
    monkeypatch.setattr(module, "CELLS", 3 * N_ITEMS)
    assert calibrate(two, TASKS) == expected


def test_beside_a_large_catalogue_some_items_stand_for_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nearly as likely under all items as where all of them were fitted on."""
    one, two, three = unadapted(), unadapted(), unadapted()
    calibrate(one, TASKS)
    monkeypatch.setattr(module, "CELLS", len(TASKS) * (N_ITEMS // 2))
    monkeypatch.setattr(module, "ENOUGH", len(TASKS))
    told = calibrate(two, TASKS)
    assert calibrate(two, TASKS) == pytest.approx(told, abs=0.01), "the same items every time"
    best, found = (log_likelihood(Ranker(model).score, TASKS) for model in (one, two))
    assert best - 0.05 < found < best + 0.01, "the prior keeps both from the very best"
    assert -told == pytest.approx(found, abs=0.2), "what is told is of all items"
    monkeypatch.setattr(module, "LOOKED_UP_AT_ONCE", 7)
    assert calibrate(three, TASKS) == told, "looked up together or in parts"


def test_a_handful_of_people_move_little() -> None:
    """Any three next items could be foreseen by scalars that are absurd for all others."""
    model = unadapted()
    calibrate(model, TASKS)
    before = log_likelihood(Ranker(model).score, TASKS)
    former = [value.detach().clone() for value in scalars(model)]
    for start in range(0, 9, 3):
        calibrate(model, TASKS[slice(start, start + 3)], former)
    assert log_likelihood(Ranker(model).score, TASKS) > before - 0.5


def test_only_the_scalars_move() -> None:
    model = unadapted()
    with torch.no_grad():
        model.theta["sharpness"].add_(1)
    before = {name: value.clone() for name, value in model.tensors().items()}
    calibrate(model, TASKS)
    moved = {
        name for name, value in model.tensors().items() if not torch.equal(value, before[name])
    }
    assert moved == {
        "theta.sharpness",
        "theta.popularity",
        "theta.trust",
        "acuity",
        "lifts.affinity",
    }


def test_a_memory_that_says_nothing_leaves_all_finite() -> None:
    model = unadapted()
    assert model.memory is not None
    model.memory.weights.zero_()
    assert np.isfinite(calibrate(model, TASKS))
    assert all(torch.isfinite(value).all() for value in scalars(model))
