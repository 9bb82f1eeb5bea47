"""The k best: exact against a full sort, ties and exclusions included."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from clusterseq.errors import ConfigError
from clusterseq.model.retrieval import NOTHING, top_k


def sorted_out(scores: Sequence[float], excluded: Sequence[bool], k: int) -> list[int]:
    """The definition: by score, then by index."""
    left = [item for item in range(len(scores)) if not excluded[item]]
    best = sorted(left, key=lambda item: (-scores[item], item))[:k]
    return best + [NOTHING] * (min(k, len(scores)) - len(best))


@st.composite
def tasks(draw: st.DrawFn) -> tuple[list[list[float]], list[list[bool]], int]:
    """Few different scores, so that ties are the rule."""
    n_users, n_items = draw(st.integers(1, 4)), draw(st.integers(1, 12))
    row = st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0]), min_size=n_items, max_size=n_items)
    flags = st.lists(st.booleans(), min_size=n_items, max_size=n_items)
    rows = st.lists(row, min_size=n_users, max_size=n_users)
    masks = st.lists(flags, min_size=n_users, max_size=n_users)
    return draw(rows), draw(masks), draw(st.integers(1, 15))


@given(tasks())
def test_it_is_what_a_full_sort_gives(
    task: tuple[list[list[float]], list[list[bool]], int],
) -> None:
    scores, excluded, k = task
    found = top_k(torch.tensor(scores).masked_fill(torch.tensor(excluded), -torch.inf), k)
    pairs = zip(scores, excluded, strict=True)
    assert found.items.tolist() == [sorted_out(row, mask, k) for row, mask in pairs]


@given(
    st.integers(0, 3),
    st.integers(2_000, 9_000),
    st.integers(1, 8),
    st.integers(1, 2_000),
    st.data(),
)
def test_long_rows_are_no_different(
    users: int, items: int, k: int, different: int, data: st.DataObject
) -> None:
    """They are searched in blocks; few different scores are tied within and across them."""
    draws = np.random.default_rng(data.draw(st.integers(0, 99)))
    scores = draws.integers(0, different, (users, items)).astype(np.float32)
    gone = draws.random((users, items)) < data.draw(st.sampled_from([0.0, 0.5, 0.9999]))
    found = top_k(torch.from_numpy(np.where(gone, -np.float32(np.inf), scores)), k)
    expected = [sorted_out(*row, k) for row in zip(scores, gone, strict=True)]
    assert found.items.tolist() == expected


def test_the_scores_stand_beside_their_items() -> None:
    found = top_k(torch.tensor([[-torch.inf, 0.9, 0.4]]), 5)
    assert found.items.tolist() == [[1, 2, NOTHING]]
    np.testing.assert_allclose(found.scores, [[0.9, 0.4, -np.inf]], rtol=1e-6)


def test_a_constant_row_gives_the_lowest_indices() -> None:
    assert top_k(torch.zeros(2, 5000), 3).items.tolist() == [[0, 1, 2]] * 2


def test_the_scores_given_are_left_alone() -> None:
    scores = torch.rand(3, 7)
    before = scores.clone()
    top_k(scores, 2)
    assert torch.equal(scores, before)


def test_nobody_is_an_empty_result() -> None:
    assert top_k(torch.empty(0, 5), 3).items.shape == (0, 3)


def test_k_below_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="k = 0 recommends nothing"):
        top_k(torch.zeros(1, 3), 0)
