"""ALS: a newcomer's factors against the normal equations, silence, and the seed."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import threadpoolctl
import torch

from clusterseq.baselines.als import ALS
from clusterseq.data.histories import Histories
from clusterseq.errors import ClusterSeqError
from tests.baselines.planted import KNOWN, WORLD, gain_over_popularity

HISTORIES = Histories.from_lists([[3, 9, 3], [25]])


def test_a_newcomer_is_the_least_squares_solution_of_the_own_history() -> None:
    model = ALS.fit(KNOWN, WORLD.n_items, factors=8, confidence=10.0, regularisation=0.1)
    items = model.item_factors.astype(np.float64)
    for row, touched in enumerate(([3, 9], [25])):
        confidence, preferred = np.ones(WORLD.n_items), np.zeros(WORLD.n_items)
        confidence[touched], preferred[touched] = 10, 1
        left = items.T @ (confidence[:, None] * items) + 0.1 * np.eye(8)
        factors = np.linalg.solve(left, items.T @ (confidence * preferred))
        np.testing.assert_allclose(model.score(HISTORIES)[row], items @ factors, atol=1e-4)


def test_nothing_is_kept_of_newcomers() -> None:
    model = ALS.fit(KNOWN, WORLD.n_items, factors=8)
    before = model.item_factors.copy()
    first = model.score(HISTORIES)
    model.score(Histories.from_lists([[1, 2, 4]] * 9))
    assert torch.equal(model.score(HISTORIES), first)
    assert np.array_equal(model.item_factors, before)


def test_the_seed_alone_decides() -> None:
    scores = [
        ALS.fit(KNOWN, WORLD.n_items, factors=8, seed=seed).score(HISTORIES) for seed in (0, 0, 1)
    ]
    assert torch.equal(scores[0], scores[1])
    assert not torch.allclose(scores[0], scores[2])


def test_it_neither_warns_of_threads_nor_draws_a_progress_bar(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # The library looks at the threads of BLAS once per process: let it look again.
    monkeypatch.setattr("implicit.utils._checked_blas_config", False)
    with threadpoolctl.threadpool_limits(2, "blas"):
        ALS.fit(KNOWN, WORLD.n_items, factors=8).score(HISTORIES)
        threads = {pool["num_threads"] for pool in threadpoolctl.threadpool_info()}
    assert 2 in threads, "the limit was not lifted again"
    assert capfd.readouterr() == ("", "")


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "implicit.cpu.als", None)
    with pytest.raises(ClusterSeqError, match=r"pip install 'clusterseq\[bench\]'"):
        ALS.fit(KNOWN, WORLD.n_items)


def test_it_learns_who_goes_where() -> None:
    assert gain_over_popularity(ALS.fit(KNOWN, WORLD.n_items, factors=16)) > 1.5
