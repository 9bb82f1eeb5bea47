"""All scorers keep the contract; a new one joins by a line in ``SCORERS`` or ``DRAWN_BY_ITEM``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from clusterseq.baselines.als import ALS
from clusterseq.baselines.bert4rec import BERT4Rec
from clusterseq.baselines.blend import Blend
from clusterseq.baselines.ease import EASE
from clusterseq.baselines.episodes import Schedule
from clusterseq.baselines.gru4rec import GRU4Rec
from clusterseq.baselines.item_knn import ItemKNN
from clusterseq.baselines.mecos import fit_mecos
from clusterseq.baselines.melu import fit_melu
from clusterseq.baselines.metatl import fit_metatl
from clusterseq.baselines.narm import NARM
from clusterseq.baselines.neural import NextItemNetwork, fit_network
from clusterseq.baselines.next_item_losses import GBCE, FullSoftmax, ItemLoss, SampledSoftmax
from clusterseq.baselines.peer import Setting
from clusterseq.baselines.peers import PEERS
from clusterseq.baselines.popularity import Popularity
from clusterseq.baselines.sasrec import SASRec
from clusterseq.baselines.sequence_rules import SequenceRules
from clusterseq.baselines.session_knn import SessionKNN
from clusterseq.baselines.stan import STAN
from clusterseq.baselines.transrec import TransRec
from clusterseq.baselines.vmis_knn import VMISKNN
from clusterseq.data.sequences import Sequences
from clusterseq.judging.scorer import Scorer
from clusterseq.testing import ScorerContract
from clusterseq.testing.scorers import Fit


def episodic(fit: Callable[..., Scorer], **options: object) -> Fit:
    """A meta-learner after a few steps."""
    brief = Schedule(support=3, batch=16, most_steps=4, check_every=2)

    def fitted(known: Sequences, n_items: int) -> Scorer:
        return fit(Setting(known, known, n_items), schedule=brief, **options)

    return fitted


def neural(network_of: type[NextItemNetwork], loss: ItemLoss, **options: Any) -> Fit:
    """A small network after an epoch; its judges are the people it learns from."""

    def fitted(known: Sequences, n_items: int) -> Scorer:
        setting = Setting(known, known, n_items)
        return fit_network(network_of, setting, loss=loss, dim=8, epochs=1, **options)

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
    "blend": blended,
}
DRAWN_BY_ITEM: dict[str, Fit] = {
    "als": ALS.fit,
    "metatl": episodic(fit_metatl, mended=False),
    "metatl-mended": episodic(fit_metatl, mended=True),
    "melu": episodic(fit_melu),
    "mecos": episodic(fit_mecos),
    "gru4rec-full": neural(GRU4Rec, FullSoftmax()),
    "gru4rec-sampled": neural(GRU4Rec, SampledSoftmax(20)),
    "narm": neural(NARM, SampledSoftmax(20)),
    "sasrec": neural(SASRec, SampledSoftmax(20)),
    "gsasrec": neural(SASRec, GBCE(20), geometry="dot"),
    "bert4rec": neural(BERT4Rec, SampledSoftmax(20)),
    "transrec": neural(TransRec, SampledSoftmax(20), geometry="distance"),
}
"""Scorers whose random start is drawn item by item."""


class TestScorers(ScorerContract):
    """Those that ids mean nothing to."""

    @pytest.fixture(scope="module", params=SCORERS)
    @classmethod
    def fit(cls, request: pytest.FixtureRequest) -> Fit:
        return SCORERS[request.param]


class TestScorersDrawnByItem(ScorerContract):
    """Those that show elsewhere that ids mean nothing to them."""

    drawn_by_item = True

    @pytest.fixture(scope="module", params=DRAWN_BY_ITEM)
    @classmethod
    def fit(cls, request: pytest.FixtureRequest) -> Fit:
        return DRAWN_BY_ITEM[request.param]


def test_no_peer_is_left_out() -> None:
    assert {*SCORERS, *DRAWN_BY_ITEM} == set(PEERS)
