"""What holds of every neural peer: what it reads, that a seed decides it, and that it learns."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np
import pytest
import torch

from clusterseq.baselines.bert4rec import BERT4Rec
from clusterseq.baselines.gru4rec import GRU4Rec
from clusterseq.baselines.narm import NARM
from clusterseq.baselines.neural import NextItemNetwork, fit_network
from clusterseq.baselines.next_item_losses import GBCE, FullSoftmax, SampledSoftmax
from clusterseq.baselines.peer import Setting
from clusterseq.baselines.sasrec import SASRec
from clusterseq.baselines.transrec import TransRec
from clusterseq.bench.planted import World
from clusterseq.data.histories import Histories
from clusterseq.data.sequences import Sequences
from clusterseq.judging.judge import mean_reciprocal_rank

Fit: TypeAlias = Callable[..., NextItemNetwork]
FITS: dict[str, Fit] = {
    "gru4rec": partial(fit_network, GRU4Rec, loss=FullSoftmax()),
    "gru4rec, sampled": partial(fit_network, GRU4Rec, loss=SampledSoftmax(20)),
    "narm": partial(fit_network, NARM, loss=FullSoftmax()),
    "sasrec": partial(fit_network, SASRec, loss=FullSoftmax()),
    "gsasrec": partial(fit_network, SASRec, loss=GBCE(30), geometry="dot"),
    "bert4rec": partial(fit_network, BERT4Rec, loss=FullSoftmax()),
    "transrec": partial(fit_network, TransRec, loss=FullSoftmax(), geometry="distance"),
}
CAUSAL = sorted({*FITS} - {"bert4rec"})
WORLD = World.of((1.0,), own=30, shared=0, generator=np.random.default_rng(0))


def people(users: int, seed: int) -> Sequences:
    return WORLD.draw(users, 3, 8, np.random.default_rng(seed)).sequences


def setting(users: int = 60, seed: int = 0) -> Setting:
    return Setting(people(users, seed=1), people(60, seed=2), WORLD.n_items, seed)


def quick(name: str, seed: int = 0) -> NextItemNetwork:
    return FITS[name](setting(seed=seed), dim=8, epochs=2)


@pytest.mark.parametrize("name", CAUSAL)
def test_a_later_item_changes_no_earlier_query(name: str) -> None:
    network = quick(name)
    one, other = (Histories.from_lists([[3, 7, last]]) for last in (5, 21))
    queries, others = network.encode(one), network.encode(other)
    torch.testing.assert_close(queries[:, :2], others[:, :2])
    assert not torch.allclose(queries[:, 2], others[:, 2])


@pytest.mark.parametrize("name", sorted({*FITS} - {"transrec"}))
def test_the_first_item_and_the_order_count(name: str) -> None:
    scorer = quick(name)
    scores = scorer.score(Histories.from_lists([[3, 7, 5], [9, 7, 5], [7, 3, 5]]))
    assert not torch.allclose(scores[0], scores[1])
    assert not torch.allclose(scores[0], scores[2])


def test_transrec_reads_the_last_item_alone() -> None:
    scores = quick("transrec").score(Histories.from_lists([[3, 7, 5], [5]]))
    torch.testing.assert_close(scores[0], scores[1])


@pytest.mark.parametrize("name", FITS)
def test_the_seed_alone_decides_the_weights(name: str) -> None:
    first = quick(name).state_dict()
    torch.manual_seed(123)  # whatever else the process draws
    before = torch.random.get_rng_state()
    again = quick(name).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before), "the process's generator was used"
    other = quick(name, seed=1).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("name", FITS)
def test_it_learns_a_chain_nearly_as_well_as_can_be(name: str) -> None:
    world = setting(users=1000)
    scorer = FITS[name](world, dim=16, dropout=0.0, learning_rate=0.02, epochs=20)
    judges = world.judges()

    def best(histories: Histories) -> torch.Tensor:
        rows = zip(histories.items.numpy(), histories.lengths.tolist(), strict=True)
        return torch.from_numpy(
            np.concatenate([WORLD.best_scores(row[None, :length]) for row, length in rows])
        )

    possible = mean_reciprocal_rank(best, judges)
    blind = mean_reciprocal_rank(lambda rows: torch.zeros(len(rows), WORLD.n_items), judges)
    reached = (world.mrr(scorer) - blind) / (possible - blind)
    assert reached > 0.75, f"{reached:.2f} of the way from chance to the best possible ranking"
