"""The losses against their formulas, written out in loops, and where they meet each other."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from clusterseq.baselines.item_table import SCALE, Geometry, ItemTable
from clusterseq.baselines.next_item_losses import (
    GBCE,
    FullSoftmax,
    ItemLoss,
    SampledSoftmax,
    gbce,
)

N_ITEMS = 9


@pytest.fixture
def table() -> ItemTable:
    table = ItemTable(N_ITEMS, 4, "dot")
    drawn = torch.Generator().manual_seed(1)
    table.vectors.data = torch.randn(N_ITEMS, 4, generator=drawn)
    table.bias.data = torch.randn(N_ITEMS, generator=drawn)
    return table


def queries() -> Tensor:
    return torch.randn(3, 4, generator=torch.Generator().manual_seed(2))


TARGETS = torch.tensor([0, 5, 5])


def value(loss: ItemLoss, table: ItemTable, seed: int = 0) -> float:
    return loss(table, queries(), TARGETS, torch.Generator().manual_seed(seed)).item()


def drawn(count: int, seed: int = 0) -> list[int]:
    """The negatives that a loss draws first of all."""
    generator = torch.Generator().manual_seed(seed)
    return [int(item) for item in torch.randint(N_ITEMS, (count,), generator=generator)]


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def rows(table: ItemTable, count: int) -> list[tuple[float, list[float]]]:
    """Every query's logit of its target, and of the negatives that aren't the target."""
    logits = (queries() @ table.vectors.T + table.bias).tolist()
    return [
        (row[target], [row[item] for item in drawn(count) if item != target])
        for row, target in zip(logits, TARGETS.tolist(), strict=True)
    ]


def test_full_softmax_is_minus_the_log_of_the_targets_share(table: ItemTable) -> None:
    logits = (queries() @ table.vectors.T + table.bias).tolist()
    expected = [
        -math.log(math.exp(row[target]) / sum(math.exp(logit) for logit in row))
        for row, target in zip(logits, TARGETS.tolist(), strict=True)
    ]
    assert value(FullSoftmax(), table) == pytest.approx(sum(expected) / 3, rel=1e-5)


def test_sampled_softmax_weighs_each_negative_for_those_not_drawn(table: ItemTable) -> None:
    expected = [
        -math.log(math.exp(own) / (math.exp(own) + N_ITEMS / 6 * sum(map(math.exp, rivals))))
        for own, rivals in rows(table, 6)
    ]
    assert value(SampledSoftmax(6), table) == pytest.approx(sum(expected) / 3, rel=1e-5)


def test_sampled_softmax_comes_near_the_full_one_with_many_negatives(table: ItemTable) -> None:
    # The targets' own draws are left out, hence all of the n − 1 others are drawn n times in n.
    assert value(SampledSoftmax(50_000), table) == pytest.approx(
        value(FullSoftmax(), table), rel=0.01
    )


def test_gbce_follows_the_formula(table: ItemTable) -> None:
    rate = 6 / (N_ITEMS - 1)
    power = rate * (0.75 * (1 - 1 / rate) + 1 / rate)
    expected = [
        -(math.log(sigmoid(own) ** power) + sum(math.log(1 - sigmoid(r)) for r in rivals)) / 6
        for own, rivals in rows(table, 6)
    ]
    assert value(GBCE(6, 0.75), table) == pytest.approx(sum(expected) / 3, rel=1e-5)


def test_gbce_without_calibration_is_binary_cross_entropy() -> None:
    target, rivals = torch.tensor([0.3]), torch.tensor([[1.0, -2.0]])
    logits, truth = torch.tensor([0.3, 1.0, -2.0]), torch.tensor([1.0, 0.0, 0.0])
    total = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth, reduction="sum")
    missed = torch.zeros(1, 2, dtype=torch.bool)
    assert float(gbce(target, rivals, missed, 1.0)) == pytest.approx(float(total) / 2)


@pytest.mark.parametrize("loss", [SampledSoftmax(6), GBCE(6)])
def test_the_generator_decides_what_is_drawn(loss: ItemLoss, table: ItemTable) -> None:
    assert value(loss, table, seed=0) == value(loss, table, seed=0)
    assert value(loss, table, seed=0) != value(loss, table, seed=1)


@pytest.mark.parametrize("loss", [FullSoftmax(), SampledSoftmax(6), GBCE(6)])
def test_gradients_are_finite_where_a_negative_is_the_target(
    loss: ItemLoss, table: ItemTable
) -> None:
    reached = loss(table, queries(), TARGETS, torch.Generator().manual_seed(0))
    gradients = torch.autograd.grad(reached, [table.vectors, table.bias])
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert any((negative == TARGETS).any() for negative in torch.tensor(drawn(6)))


@pytest.mark.parametrize("geometry", ["cosine", "dot", "distance"])
def test_logits_follow_their_geometry(geometry: Geometry, table: ItemTable) -> None:
    table.geometry = geometry
    for row, query in zip(table.logits(queries()), queries(), strict=True):
        for item, logit in enumerate(row):
            vector = table.vectors[item]
            product = (query @ vector).item()
            if geometry == "cosine":
                product *= SCALE / (query.norm() * vector.norm()).item()
            if geometry == "distance":
                product = (query @ query - (query - vector) @ (query - vector)).item()
            assert logit.item() == pytest.approx(product + table.bias[item].item(), abs=1e-4)


@pytest.mark.parametrize("geometry", ["cosine", "dot", "distance"])
def test_a_part_of_the_logits_is_a_part_of_them_all(geometry: Geometry, table: ItemTable) -> None:
    table.geometry = geometry
    everything = table.logits(queries())
    chosen = torch.tensor([7, 0, 7])
    torch.testing.assert_close(table.logits(queries(), chosen), everything[:, chosen])
    paired = everything[torch.arange(3), TARGETS]
    torch.testing.assert_close(table.paired(queries(), TARGETS), paired)
