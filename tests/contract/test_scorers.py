"""What every scorer promises, whatever is inside; a new one joins by a line in ``SCORERS``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np
import pytest
import torch
from torch import Tensor

from clusterseq.baselines import Popularity, SessionKNN
from clusterseq.baselines.als import ALS
from clusterseq.baselines.bert4rec import fit_bert4rec
from clusterseq.baselines.blend import Blend
from clusterseq.baselines.ease import EASE
from clusterseq.baselines.episodes import Schedule
from clusterseq.baselines.gru4rec import fit_gru4rec
from clusterseq.baselines.item_knn import ItemKNN
from clusterseq.baselines.mecos import fit_mecos
from clusterseq.baselines.melu import fit_melu
from clusterseq.baselines.metatl import fit_metatl
from clusterseq.baselines.narm import fit_narm
from clusterseq.baselines.next_item_losses import GBCE, FullSoftmax, ItemLoss, SampledSoftmax
from clusterseq.baselines.peer import Setting
from clusterseq.baselines.sasrec import fit_sasrec
from clusterseq.baselines.sequence_rules import SequenceRules
from clusterseq.baselines.stan import STAN
from clusterseq.baselines.transrec import fit_transrec
from clusterseq.baselines.vmis_knn import VMISKNN
from clusterseq.histories import Histories
from clusterseq.scorer import Scorer
from clusterseq.sequences import Sequences

Fit: TypeAlias = Callable[[Sequences, int], Scorer]


def episodic(fit: Callable[..., Scorer], **options: object) -> Fit:
    """A meta-learner after a few steps."""
    brief = Schedule(support=3, batch=16, most_steps=4, check_every=2)

    def fitted(known: Sequences, n_items: int) -> Scorer:
        return fit(Setting(known, known, n_items), schedule=brief, **options)

    return fitted


def neural(fit: Callable[..., Scorer], loss: ItemLoss, **options: object) -> Fit:
    """A small network after an epoch; its judges are the people it learns from."""

    def fitted(known: Sequences, n_items: int) -> Scorer:
        setting = Setting(known, known, n_items)
        return fit(setting, loss=loss, dim=8, epochs=1, **options)

    return fitted


def blended(known: Sequences, n_items: int) -> Scorer:
    """Two scorers blended by people who are known, which no blend of the project is."""
    scorers = [model.fit(known, n_items) for model in (SequenceRules, SessionKNN)]
    return Blend.fit(Setting(known, known, n_items), scorers)


SCORERS: dict[str, Fit] = {
    "popularity": Popularity.fit,
    "recent-popularity": partial(Popularity.fit, half_life=0.1),
    "item-knn": ItemKNN.fit,
    "sequence-rules": SequenceRules.fit,
    "session-knn": SessionKNN.fit,
    "vmis-knn": VMISKNN.fit,
    "stan": STAN.fit,
    "ease": EASE.fit,
    "als": ALS.fit,
    "blend": blended,
    "metatl": episodic(fit_metatl, mended=False),
    "metatl-mended": episodic(fit_metatl, mended=True),
    "melu": episodic(fit_melu),
    "mecos": episodic(fit_mecos),
    "gru4rec-full": neural(fit_gru4rec, FullSoftmax()),
    "gru4rec-sampled": neural(fit_gru4rec, SampledSoftmax(20)),
    "narm": neural(fit_narm, SampledSoftmax(20)),
    "sasrec": neural(fit_sasrec, SampledSoftmax(20)),
    "gsasrec": neural(fit_sasrec, GBCE(20), geometry="dot"),
    "bert4rec": neural(fit_bert4rec, SampledSoftmax(20)),
    "transrec": neural(fit_transrec, SampledSoftmax(20)),
}
NEURAL = {"gru4rec-full", "gru4rec-sampled", "narm", "sasrec", "gsasrec", "bert4rec", "transrec"}
DRAWN_BY_ITEM: set[str] = {"als", "mecos", "melu", "metatl", "metatl-mended"} | NEURAL
"""Scorers whose random start is drawn item by item: they show that ids mean nothing elsewhere."""

N_ITEMS = 30
HISTORIES = [[3, 5, 8], [8], [1, 2, 3, 4, 5, 6], [29, 29], [17, 0]]


def known_people() -> Sequences:
    """200 people with 2 to 7 events each; item 29 is touched by nobody."""
    generator = np.random.default_rng(0)
    users = np.repeat(np.arange(200, dtype=np.int32), generator.integers(2, 8, 200))
    items = np.minimum(generator.geometric(0.12, len(users)) - 1, 28).astype(np.int32)
    return Sequences.from_codes(users, items, np.arange(len(users)), 200)


@pytest.fixture(scope="module", params=SCORERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def scorer(name: str) -> Scorer:
    return SCORERS[name](known_people(), N_ITEMS)


def scores(scorer: Scorer, *rows: list[int]) -> Tensor:
    return scorer.score(Histories.from_lists(rows)).detach()


def test_scores_are_finite_and_of_people_by_items(scorer: Scorer) -> None:
    result = scores(scorer, *HISTORIES)
    assert scorer.n_items == N_ITEMS
    assert result.shape == (len(HISTORIES), N_ITEMS)
    assert result.is_floating_point()
    assert torch.isfinite(result).all()
    assert (result.amax(1) > result.amin(1)).any(), "a scorer that tells no item apart"


def test_a_batch_scores_as_one_by_one(scorer: Scorer) -> None:
    alone = torch.cat([scores(scorer, row) for row in HISTORIES])
    torch.testing.assert_close(scores(scorer, *HISTORIES), alone)


def test_only_the_own_history_counts(scorer: Scorer) -> None:
    mine = scores(scorer, HISTORIES[0], [11, 12], [3])[0]
    torch.testing.assert_close(scores(scorer, [3, 5, 8], [25], [9, 9, 9])[0], mine)


def test_padding_means_nothing(scorer: Scorer) -> None:
    padded = Histories.from_lists(HISTORIES)
    junk = torch.where(padded.mask, padded.items, N_ITEMS - 1)
    wider = torch.cat([junk, torch.full((len(junk), 4), 7)], dim=1)
    expected = scorer.score(padded).detach()
    torch.testing.assert_close(scorer.score(Histories(wider, padded.lengths)).detach(), expected)


def test_scoring_again_gives_the_same(scorer: Scorer) -> None:
    torch.testing.assert_close(
        scores(scorer, *HISTORIES), scores(scorer, *HISTORIES), rtol=0, atol=0
    )


def test_scoring_leaves_the_histories_alone(scorer: Scorer) -> None:
    histories = Histories.from_lists(HISTORIES)
    items, lengths = histories.items.clone(), histories.lengths.clone()
    scorer.score(histories)
    assert torch.equal(histories.items, items)
    assert torch.equal(histories.lengths, lengths)


def test_nobody_at_all_is_an_empty_batch(scorer: Scorer) -> None:
    assert scores(scorer).shape == (0, N_ITEMS)


def test_an_empty_history_is_scored_beside_others(scorer: Scorer) -> None:
    result = scores(scorer, [], [3, 5])
    assert torch.isfinite(result).all()
    torch.testing.assert_close(result[1:], scores(scorer, [3, 5]))
    if not scorer.needs_history:
        assert result[0].amax() > result[0].amin(), "without a history there's no ranking"
        torch.testing.assert_close(result[:1], scores(scorer, []))


def test_item_ids_mean_nothing(name: str, scorer: Scorer) -> None:
    if name in DRAWN_BY_ITEM:
        pytest.skip("its random start is drawn item by item")
    places = np.random.default_rng(1).permutation(N_ITEMS).astype(np.int32)
    renamed = SCORERS[name](known_people().renumbered(places), N_ITEMS)
    result = scores(renamed, *(places[row].tolist() for row in HISTORIES))
    torch.testing.assert_close(
        result[:, torch.from_numpy(places).long()], scores(scorer, *HISTORIES)
    )
