"""The model of fixed shapes scores as the ranker does, whatever it consists of."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from clusterseq.data.histories import Histories
from clusterseq.model.portable import Portable
from clusterseq.model.ranker import Ranker
from tests.tiny import ABLATIONS, HISTORIES, tiny, trained

PARTS = ("whole", "members", "attention", "cosine", "clustering", "conditioning", "memory", "meta")


def padded(rows: list[list[int]], steps: int) -> tuple[Tensor, Tensor]:
    """The newest items, padded on the right to the steps of the model."""
    newest = [row[-steps:] for row in rows]
    items = [row + [0] * (steps - len(row)) for row in newest]
    return torch.tensor(items), torch.tensor([len(row) for row in newest])


@pytest.mark.parametrize("part", [*PARTS, "everything"])
def test_scores_are_those_of_the_ranker(part: str) -> None:
    model = trained(tiny(ABLATIONS[part], pretrain_epochs=1, meta_epochs=1))
    ranker = Ranker(model)
    items, lengths = padded(HISTORIES, model.config.max_steps)
    expected = ranker.score(Histories.from_lists(HISTORIES))
    found = Portable(ranker)
    torch.testing.assert_close(found(items, lengths), expected, rtol=1e-5, atol=1e-5)
    junk = torch.where(torch.arange(items.shape[1]) < lengths[:, None], items, 7)
    torch.testing.assert_close(found(junk, lengths), found(items, lengths))
    torch.testing.assert_close(found(items[:1], lengths[:1]), expected[:1], rtol=1e-5, atol=1e-5)


def test_the_model_itself_stays_as_it_is() -> None:
    model = trained(tiny(pretrain_epochs=1, meta_epochs=1))
    Portable(Ranker(model))
    assert model.memory is not None
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert model.catalogue().table.requires_grad
