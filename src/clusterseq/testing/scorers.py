"""What every scorer promises, whatever is inside.

Knows nothing about: how scores come about.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, TypeAlias

import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from clusterseq.data.histories import Histories
from clusterseq.data.sequences import Sequences
from clusterseq.judging.scorer import Scorer

Fit: TypeAlias = Callable[[Sequences, int], Scorer]
"""From known people and the size of the catalogue to a scorer, the same for the same people."""

N_ITEMS = 30
HISTORIES = [[3, 5, 8], [8], [1, 2, 3, 4, 5, 6], [29, 29], [17, 0]]


def known_people() -> Sequences:
    """200 people with 2 to 7 events each; item 29 is touched by nobody."""
    generator = np.random.default_rng(0)
    users = np.repeat(np.arange(200, dtype=np.int32), generator.integers(2, 8, 200))
    items = np.minimum(generator.geometric(0.12, len(users)) - 1, 28).astype(np.int32)
    return Sequences.from_codes(users, items, np.arange(len(users)), 200)


class ScorerContract:
    """Name a subclass ``Test…`` and give it the fixture ``fit`` of scope module."""

    drawn_by_item: ClassVar[bool] = False
    """True if a random start is drawn item by item, so that renamed items score otherwise."""

    @pytest.fixture(scope="module")
    @classmethod
    def fit(cls) -> Fit:
        """How the scorer is fitted."""
        raise NotImplementedError("give the fixture fit: from people and n_items to a scorer")

    @pytest.fixture(scope="module")
    @classmethod
    def scorer(cls, fit: Fit) -> Scorer:
        """The scorer of 200 people and 30 items."""
        return fit(known_people(), N_ITEMS)

    def test_it_is_a_scorer(self, scorer: Scorer) -> None:
        assert isinstance(scorer, Scorer)
        assert scorer.n_items == N_ITEMS

    def test_scores_are_finite_and_of_people_by_items(self, scorer: Scorer) -> None:
        result = scores(scorer, *HISTORIES)
        assert result.shape == (len(HISTORIES), N_ITEMS)
        assert result.is_floating_point()
        assert torch.isfinite(result).all()
        assert (result.amax(1) > result.amin(1)).any(), "a scorer that tells no item apart"

    def test_a_batch_scores_as_one_by_one(self, scorer: Scorer) -> None:
        alone = torch.cat([scores(scorer, row) for row in HISTORIES])
        torch.testing.assert_close(scores(scorer, *HISTORIES), alone)

    def test_only_the_own_history_counts(self, scorer: Scorer) -> None:
        mine = scores(scorer, HISTORIES[0], [11, 12], [3])[0]
        torch.testing.assert_close(scores(scorer, [3, 5, 8], [25], [9, 9, 9])[0], mine)

    def test_padding_means_nothing(self, scorer: Scorer) -> None:
        padded = Histories.from_lists(HISTORIES)
        junk = torch.where(padded.mask, padded.items, N_ITEMS - 1)
        wider = torch.cat([junk, torch.full((len(junk), 4), 7)], dim=1)
        expected = scorer.score(padded).detach()
        result = scorer.score(Histories(wider, padded.lengths)).detach()
        torch.testing.assert_close(result, expected)

    def test_scoring_again_gives_the_same(self, scorer: Scorer) -> None:
        again = scores(scorer, *HISTORIES)
        torch.testing.assert_close(scores(scorer, *HISTORIES), again, rtol=0, atol=0)

    def test_scoring_leaves_the_histories_alone(self, scorer: Scorer) -> None:
        histories = Histories.from_lists(HISTORIES)
        items, lengths = histories.items.clone(), histories.lengths.clone()
        scorer.score(histories)
        assert torch.equal(histories.items, items)
        assert torch.equal(histories.lengths, lengths)

    def test_nobody_at_all_is_an_empty_batch(self, scorer: Scorer) -> None:
        assert scores(scorer).shape == (0, N_ITEMS)

    def test_an_empty_history_is_scored_beside_others(self, scorer: Scorer) -> None:
        result = scores(scorer, [], [3, 5])
        assert torch.isfinite(result).all()
        torch.testing.assert_close(result[1:], scores(scorer, [3, 5]))
        if not scorer.needs_history:
            assert result[0].amax() > result[0].amin(), "without a history there's no ranking"
            torch.testing.assert_close(result[:1], scores(scorer, []))

    def test_item_ids_mean_nothing(self, fit: Fit, scorer: Scorer) -> None:
        if self.drawn_by_item:
            pytest.skip("its random start is drawn item by item")
        permutation = np.random.default_rng(1).permutation(N_ITEMS).astype(np.int32)
        renamed = fit(known_people().renumbered(permutation), N_ITEMS)
        result = scores(renamed, *(permutation[row].tolist() for row in HISTORIES))
        expected = scores(scorer, *HISTORIES)
        torch.testing.assert_close(result[:, torch.from_numpy(permutation).long()], expected)


def scores(scorer: Scorer, *rows: list[int]) -> Float[Tensor, "users items"]:
    """The scores of some histories."""
    return scorer.score(Histories.from_lists(rows)).detach()
