"""EASE against the closed form in double precision, and its limit."""

from __future__ import annotations

import numpy as np
import pytest

from clusterseq.baselines.ease import EASE, MOST_ITEMS
from clusterseq.data.graph import incidence
from clusterseq.data.histories import Histories
from clusterseq.errors import ClusterSeqError
from tests.baselines.planted import KNOWN, WORLD, gain_over_popularity


def test_the_weights_are_the_closed_form() -> None:
    touched = incidence(KNOWN, WORLD.n_items).toarray().astype(np.float64)
    inverse = np.linalg.inv(touched.T @ touched + 30 * np.eye(WORLD.n_items))
    expected = np.eye(WORLD.n_items) - inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0)
    found = EASE.fit(KNOWN, WORLD.n_items, regularisation=30.0).weights
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_each_item_is_the_best_guess_from_the_others() -> None:
    """A weight off the diagonal that is moved either way raises the regularised squared error."""
    touched = incidence(KNOWN, WORLD.n_items).toarray().astype(np.float64)
    weights = EASE.fit(KNOWN, WORLD.n_items, regularisation=30.0).weights.astype(np.float64)

    def error(change: float) -> float:
        moved = weights.copy()
        moved[4, 9] += change
        return float(((touched - touched @ moved) ** 2).sum() + 30 * (moved**2).sum())

    assert error(0) < min(error(-0.01), error(0.01))


def test_scores_are_sums_of_rows_and_without_history_popularity() -> None:
    model = EASE.fit(KNOWN, WORLD.n_items)
    scores = model.score(Histories.from_lists([[3, 9, 3], []]))
    expected = model.weights[3] + model.weights[9]
    np.testing.assert_allclose(scores[0], expected, rtol=1e-5, atol=1e-7)
    people = incidence(KNOWN, WORLD.n_items).sum(axis=0)
    assert scores[1].argmax() == people.argmax()


def test_a_large_catalogue_is_refused_before_any_memory_is_taken() -> None:
    with pytest.raises(ClusterSeqError, match=r"20001 items would take 5 GB.*20000 items"):
        EASE.fit(KNOWN, MOST_ITEMS + 1)


def test_it_learns_who_goes_where() -> None:
    assert gain_over_popularity(EASE.fit(KNOWN, WORLD.n_items)) > 2.0
