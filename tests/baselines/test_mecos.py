"""Mecos: the matching network by hand, and what its support consists of."""

from __future__ import annotations

import torch

from clusterseq.baselines.mecos import Matcher, Mecos, attend
from clusterseq.data.histories import Histories


def model() -> Mecos:
    return Mecos(15, torch.Generator().manual_seed(0), dim=4)


def test_matching_reads_the_support_anew_in_each_round() -> None:
    query, pairs = torch.tensor([[0.5, -1.0]]), torch.tensor([[[1.0, 2.0], [3.0, -1.0]]])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        matcher = Matcher(2)
    matched, memory = query, torch.zeros(1, 2)
    for _ in range(3):
        weights = torch.softmax(pairs[0] @ matched[0], dim=0)
        read = weights[0] * pairs[:, 0] + weights[1] * pairs[:, 1]
        gates = torch.cat([query, read], 1) @ matcher.cell.weight_ih.T + matcher.cell.bias_ih
        gates = gates + matched @ matcher.cell.weight_hh.T + matcher.cell.bias_hh
        enter, keep, new, leave = gates.chunk(4, dim=1)
        memory = keep.sigmoid() * memory + enter.sigmoid() * new.tanh()
        matched = query + leave.sigmoid() * memory.tanh()
    torch.testing.assert_close(matcher(query, pairs, torch.ones(1, 2).bool()), matched)


def test_without_a_pair_zeros_are_read() -> None:
    read = attend(torch.ones(1, 2), torch.ones(1, 3, 2), torch.zeros(1, 3).bool())
    assert read.tolist() == [[0.0, 0.0]]


def test_each_prefix_is_paired_with_the_item_after_it() -> None:
    tested = model()
    seen = []
    tested.matcher.register_forward_pre_hook(lambda _, arguments: seen.append(arguments))
    tested.query(Histories.from_lists([[3, 5, 8], [7]]))
    query, pairs, mask = seen[0]
    assert mask.tolist() == [[True, True], [False, False]]
    for place, (prefix, item) in enumerate((([3], 5), ([3, 5], 8))):
        states, _ = tested.sequences(tested.items(torch.tensor([prefix])))
        expected = tested.pairs(states[:, -1:], tested.items(torch.tensor([[item]])))
        torch.testing.assert_close(pairs[:1, place], expected[:, 0])
    alone, _ = tested.sequences(tested.items(torch.tensor([[7]])))
    torch.testing.assert_close(query[1], alone[0, 0])


def test_dropout_is_drawn_by_the_generator_alone() -> None:
    tested, history = model(), Histories.from_lists([[3, 5, 8]])
    seeded = [tested.query(history, torch.Generator().manual_seed(1)) for _ in range(2)]
    assert torch.equal(*seeded)
    assert not torch.allclose(seeded[0], tested.query(history))
