"""Rough scores are never off by more than they say, and what is found by them is exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from clusterseq.config import ModelConfig
from clusterseq.data.histories import Histories
from clusterseq.data.ledger import Ledger
from clusterseq.data.memory import Sums
from clusterseq.data.sequences import Sequences
from clusterseq.learning.trainer import remember
from clusterseq.model import screen as module
from clusterseq.model.catalogue import scores_of
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.head import Candidates
from clusterseq.model.ranker import MARGIN, Ranker
from clusterseq.model.retrieval import NOTHING, TopK
from clusterseq.model.screen import FEWEST_DIMENSIONS, PIECE, ROWS_AT_ONCE, Screen, multiplies_bytes

ITEMS = 600
NOBODY = np.empty(0, dtype=np.int64)
pytestmark = pytest.mark.skipif(
    not multiplies_bytes(), reason="this processor multiplies bytes no faster, or wrongly"
)


@pytest.fixture
def model() -> ClusterSeq:
    """Untrained, but with a memory and popular items."""
    draws = np.random.default_rng(0)
    known = Sequences.from_rows(draws.integers(0, ITEMS, (2_000, 6)).tolist())
    model = ClusterSeq(ModelConfig(n_items=ITEMS, dim=16, members=3, anchors=20, clusters=2))
    model.items.bias.data.copy_(torch.from_numpy(draws.normal(size=ITEMS)))
    remember(model, Sums.of(known, ITEMS), Ledger.of(known, ITEMS))
    return model


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch, model: ClusterSeq) -> Ranker:
    """A ranker that scores everything exactly."""
    with monkeypatch.context() as patch:
        patch.setattr(module, "multiplies_bytes", lambda: False)
        ranker = Ranker(model)
        assert ranker.screen is None
    return ranker


def people(users: int = 7) -> Histories:
    draws = np.random.default_rng(1)
    return Histories.from_lists(
        draws.integers(0, ITEMS, 1 + user % 4).tolist() for user in range(users)
    )


def vectors(kind: str, rows: int, width: int) -> torch.Tensor:
    draws = torch.Generator().manual_seed(width)
    found = torch.randn(rows, width, generator=draws)
    if kind == "of all sizes":
        found *= 10 ** (6 * torch.rand(rows, 1, generator=draws) - 3)
    if kind == "sparse":
        found *= torch.rand(rows, width, generator=draws) < 0.1
    return found


@given(
    st.sampled_from(["even", "of all sizes", "sparse"]),
    st.integers(FEWEST_DIMENSIONS, 300),
    st.integers(0, 4),
    st.integers(1, 90),
    st.integers(1, 5),
    st.booleans(),
    st.booleans(),
)
def test_no_score_is_off_by_more_than_it_says(
    kind: str, width: int, traits: int, items: int, users: int, large: bool, compiling: bool
) -> None:
    """In one piece and in several, and in the words that a compiler is given."""
    columns = vectors(kind, items, width + traits)
    queries = vectors(kind, users, width + traits + 1)[:, 1:]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SMALL", 0 if large else module.SMALL)
        patch.setattr(torch.compiler, "is_compiling", lambda: compiling)
        screen = Screen.of(Candidates(columns, width, scale=0.0))
        found, error = screen.scores(queries)
    assert len(screen.pieces) == (-(-width // PIECE) if large else 1)
    exact = queries.double() @ columns.double().T
    assert bool(((found - exact).abs() <= error[:, None]).all())


def test_more_items_than_are_rounded_together() -> None:
    columns = vectors("even", ROWS_AT_ONCE + 1, 16)
    found, error = Screen.of(Candidates(columns, 16, scale=0.0)).scores(columns[-1:])
    assert abs(float(found[0, -1]) - float(columns[-1].square().sum())) <= float(error)


@pytest.mark.parametrize("k", [1, 10, ITEMS - MARGIN - 1, ITEMS - MARGIN, ITEMS, 2 * ITEMS])
@pytest.mark.parametrize("left", [ITEMS, ITEMS // 2, MARGIN, 3, 0])
def test_the_best_are_those_of_exact_scores(
    model: ClusterSeq, plain: Ranker, k: int, left: int
) -> None:
    screened, histories = Ranker(model), people()
    mask = torch.arange(ITEMS)[torch.randperm(ITEMS)] < left
    allowed = [None if left == ITEMS else mask] * len(histories)
    refused = [np.unique(row.numpy()) for row in histories.items]
    found, expected = (
        ranker.best(ranker.adapt(histories), k, allowed=allowed, refused=refused)
        for ranker in (screened, plain)
    )
    assert screened.screen is not None
    assert torch.equal(found.items, expected.items)
    torch.testing.assert_close(found.scores, expected.scores, rtol=1e-5, atol=1e-5)


def test_most_people_need_no_exact_score_of_all(
    model: ClusterSeq, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ranker, "_all", lambda *_: pytest.fail("all items were scored"))
    ranker = Ranker(model)
    ranker.best(ranker.adapt(people()), 10, allowed=[None] * 7, refused=[NOBODY] * 7)


@pytest.mark.parametrize(
    ("noise", "all_scored"), [(0.1, True), (1.2, False)], ids=["by nothing", "by little"]
)
def test_where_rough_scores_can_hardly_tell_more_or_all_items_are_scored(
    model: ClusterSeq, monkeypatch: pytest.MonkeyPatch, noise: float, *, all_scored: bool
) -> None:
    """Items that differ by little."""
    draws = torch.Generator().manual_seed(0)
    embedding = model.items.embedding.data
    embedding[1:] = embedding[:1]
    embedding += noise * embedding.std() * torch.randn(embedding.shape, generator=draws)
    model.items.bias.data.zero_()
    model.theta["trust"].data.zero_()
    ranker, histories, called = Ranker(model), people(3), []
    whole = Ranker._all

    def counted(*given: Any) -> TopK:
        called.append(given)
        return whole(*given)

    monkeypatch.setattr(Ranker, "_all", counted)
    adapted = ranker.adapt(histories)
    found = ranker.best(adapted, 10, allowed=[None] * 3, refused=[NOBODY] * 3)
    exact = ranker.scores(adapted)
    torch.testing.assert_close(found.scores, exact.topk(10).values, rtol=0, atol=1e-5)
    torch.testing.assert_close(exact.gather(1, found.items), found.scores, rtol=0, atol=1e-5)
    assert bool(called) == all_scored


def test_whoever_has_no_history_gets_what_is_popular(model: ClusterSeq, plain: Ranker) -> None:
    histories = Histories.from_lists([[1, 2], [], [3], []])
    best = plain.prior.topk(9).indices
    allowed = [None, None, None, torch.arange(ITEMS) != best[0]]
    refused = [NOBODY, best[:4].numpy(), best[2:].numpy(), NOBODY]
    found, expected = (
        ranker.best(ranker.adapt(histories), 5, allowed=allowed, refused=refused)
        for ranker in (Ranker(model), plain)
    )
    assert torch.equal(found.items, expected.items)
    assert torch.equal(found.scores[[1, 3]], expected.scores[[1, 3]])


def test_scores_that_are_no_numbers_are_told(model: ClusterSeq) -> None:
    model.transition.output_bias.data.fill_(torch.nan)
    ranker = Ranker(model)
    found = ranker.best(ranker.adapt(people(1)), 5, allowed=[None], refused=[NOBODY])
    assert not bool(found.scores.isfinite().any())


def test_fewer_than_wanted_are_followed_by_nothing(model: ClusterSeq) -> None:
    ranker, mask = Ranker(model), torch.zeros(ITEMS, dtype=torch.bool)
    mask[[5, 0, 599]] = True
    found = ranker.best(ranker.adapt(people(1)), 5, allowed=[mask], refused=[NOBODY])
    assert sorted(found.items[0].tolist()) == [NOTHING, NOTHING, 0, 5, 599]
    assert found.scores[0, 3:].tolist() == [-np.inf, -np.inf]


def test_too_few_dimensions_gain_nothing() -> None:
    columns = torch.randn(20, FEWEST_DIMENSIONS)
    assert Screen.fits(Candidates(columns, FEWEST_DIMENSIONS, scale=0.0))
    assert not Screen.fits(Candidates(columns, FEWEST_DIMENSIONS - 1, scale=0.0))
    assert not Screen.fits(Candidates(columns.double(), FEWEST_DIMENSIONS, scale=0.0))


def test_equal_items_have_equal_scores_wherever_they_stand() -> None:
    columns = torch.randn(200, 65, generator=torch.Generator().manual_seed(0)).repeat(2, 1)
    queries = torch.randn(58, 65, generator=torch.Generator().manual_seed(1))
    for some in (2, 9, 50, 200):
        first = torch.arange(some).repeat(58, 1)
        scores = scores_of(torch.cat([first, first + 200], dim=1), queries, columns, None)
        assert torch.equal(scores[:, :some], scores[:, some:])
        for row in (0, 57):
            alone = scores_of(first[:1].flip(1), queries[row : row + 1], columns, None)
            assert torch.equal(alone[0].flip(0), scores[row, :some])
