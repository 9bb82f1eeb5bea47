"""Explanations: parts add up to the score, gains are what is lost without, attention is shared."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterseq.data.histories import Histories
from clusterseq.data.memory import KINDS
from clusterseq.data.packing import Packing
from clusterseq.model.ranker import Ranker
from clusterseq.using.explanation import PARTS, explain
from tests.tiny import ABLATIONS, N_ITEMS, tiny, trained

HISTORIES = st.lists(st.integers(0, N_ITEMS - 1), min_size=1, max_size=12)


@pytest.fixture(scope="module")
def ranker() -> Ranker:
    return Ranker(trained())


def scores(ranker: Ranker, history: list[int]) -> torch.Tensor:
    return ranker.score(Histories.from_lists([history]))[0]


@given(history=HISTORIES)
@settings(max_examples=30, deadline=None)
def test_parts_add_up_to_the_score(ranker: Ranker, history: list[int]) -> None:
    whys = explain(ranker, history, range(N_ITEMS))
    sums = torch.tensor([sum(why.parts.values()) for why in whys])
    torch.testing.assert_close(sums, scores(ranker, history), rtol=1e-4, atol=1e-4)


@given(history=HISTORIES)
@settings(max_examples=15, deadline=None)
def test_gains_are_what_is_lost_without_an_item(ranker: Ranker, history: list[int]) -> None:
    newest = history[-ranker.model.config.max_steps :]
    whole = scores(ranker, newest).log_softmax(dim=0)
    for item, why in zip((0, 5), explain(ranker, history, [0, 5]), strict=True):
        assert len(why.gains) == len(newest)
        for step, gain in enumerate(why.gains):
            rest = scores(ranker, newest[:step] + newest[step + 1 :]).log_softmax(dim=0)
            assert gain == pytest.approx(float(whole[item] - rest[item]), abs=1e-4)


@given(rows=st.lists(st.lists(st.integers(0, N_ITEMS - 1), max_size=6), min_size=1, max_size=5))
@settings(max_examples=20, deadline=None)
def test_attention_is_spread_over_each_history_alone(ranker: Ranker, rows: list[list[int]]) -> None:
    histories = Histories.from_lists(rows)
    together = ranker.model.attention(histories, ranker.catalogue.table)
    assert together is not None
    assert torch.equal(together > 0, histories.mask)
    for row, history in enumerate(rows):
        if history:
            (why,) = explain(ranker, history, [0])
            assert sum(why.attention) == pytest.approx(1, abs=1e-5)
            found = together[row, : len(history)].tolist()
            assert why.attention == pytest.approx(found, abs=1e-5)


def test_attention_is_what_the_decoder_mixes_states_by() -> None:
    model, histories = trained(tiny({"members": 1})), Histories.from_lists([[1, 2, 3], [4, 5]])
    packing, transition = Packing.of(histories), model.transition
    vectors = model.catalogue().table[packing.pack(histories.items)]
    states = transition.encoder(vectors[None], packing.sizes)
    assert transition.key is not None
    attended = packing.side_by_side(transition._attended(states, transition.key, packing))[0]
    shares = transition.attention(vectors, packing)
    assert shares is not None
    mixed = shares @ packing.side_by_side(states)[0]
    torch.testing.assert_close(mixed[0], attended[0])
    torch.testing.assert_close(mixed[1, :2], attended[1, :2])


def test_without_history_everything_is_popularity(ranker: Ranker) -> None:
    (why,) = explain(ranker, [], [3])
    assert why.parts == {"popularity": pytest.approx(float(scores(ranker, [])[3]))}
    assert why.gains == why.attention == ()


@pytest.mark.parametrize("variant", ABLATIONS)
def test_a_model_that_lacks_a_part_explains_the_rest(variant: str) -> None:
    changed = ABLATIONS[variant]
    ranker = Ranker(trained(tiny(changed, pretrain_epochs=1, meta_epochs=1)))
    (why,) = explain(ranker, [1, 2], [3])
    assert sum(why.parts.values()) == pytest.approx(float(scores(ranker, [1, 2])[3]), abs=1e-4)
    has_memory = changed.get("memory", True)
    assert set(why.parts) == set(PARTS) - (set() if has_memory else set(KINDS))
    assert bool(why.attention) == changed.get("attention", True)
    if not changed.get("clustering", True):
        assert why.parts["clusters"] == 0
    if changed.get("meta") == "none" or changed.get("inner_steps") == 0:
        assert why.parts["adaptation"] == 0
