"""The outer loss of meta-training, where the items stand still and where they move."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from clusterseq.data.memory import Memory
from clusterseq.learning import metatrain
from clusterseq.learning.folds import FoldTasks, make_folds, task_batches
from clusterseq.learning.metatrain import MetaLoss
from clusterseq.machine.workers import Workers
from clusterseq.model import catalogue as module
from clusterseq.model.clustering import clustering_loss
from clusterseq.model.clusterseq import ClusterSeq
from tests.tiny import CONFIG, KNOWN, N_ITEMS, tiny, trained

USERS = np.arange(len(KNOWN))


@pytest.fixture(scope="module")
def model() -> ClusterSeq:
    return trained()


def batch() -> FoldTasks:
    draws = np.random.default_rng(0)
    folds = make_folds(KNOWN, USERS, N_ITEMS, folds=3, memory=True, generator=draws)
    return task_batches(KNOWN, folds, CONFIG.train, np.random.default_rng(1))[0]


def gradients(model: ClusterSeq, *, settled: bool = False) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of one batch, and its gradients."""
    of_batch = MetaLoss(model, CONFIG.train)
    if settled:
        of_batch.settle()
    loss = of_batch(batch(), torch.Generator().manual_seed(2))
    names, values = zip(*model.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, values, allow_unused=True)
    return loss, {n: g for n, g in zip(names, found, strict=True) if g is not None}


def test_settled_items_change_no_gradient_but_their_own(model: ClusterSeq) -> None:
    loss, moving = gradients(model)
    same, still = gradients(model, settled=True)
    torch.testing.assert_close(same, loss)
    assert {"items.embedding", "items.bias"} == set(moving) - set(still)
    assert {"theta.gain", "rates", "conditioner.embedding"} <= set(still)
    for name, gradient in still.items():
        torch.testing.assert_close(gradient, moving[name])


def test_what_shapes_the_clusters_counts_by_its_weight(model: ClusterSeq) -> None:
    first = batch()
    assert model.clusters is not None
    without, beside = (
        MetaLoss(model, dataclasses.replace(CONFIG.train, cluster_weight=weight))(
            first, torch.Generator().manual_seed(2)
        )
        for weight in (0.0, 0.5)
    )
    errors = model.clusters.errors(model.represent(first.tasks.support))
    shares = model.clusters.assigned(errors)
    expected = clustering_loss(errors, shares, CONFIG.train.balance_weight)
    torch.testing.assert_close(beside - without, 0.5 * expected, rtol=1e-3, atol=1e-5)


def test_dropout_is_drawn_by_the_generator(model: ClusterSeq) -> None:
    loss, first = MetaLoss(model, CONFIG.train), batch()
    drawn = [loss(first, torch.Generator().manual_seed(seed)).item() for seed in (2, 2, 3)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_worker_to_whom_nobody_falls_adds_nothing(model: ClusterSeq) -> None:
    first = batch()
    one = FoldTasks(first.tasks[:1], first.memory)
    alone = MetaLoss(model, CONFIG.train)(one, torch.Generator())
    parts = (MetaLoss(model, CONFIG.train, workers=Workers(rank, 2)) for rank in range(2))
    torch.testing.assert_close(sum(part(one, torch.Generator()) for part in parts), alone)


def test_the_loss_is_the_mean_of_each_person_alone() -> None:
    config = dataclasses.replace(CONFIG.train, cluster_weight=0.0, rivals=0)
    loss = MetaLoss(trained(tiny({"dropout": 0.0})), config)
    everybody, memory = batch().tasks, batch().memory
    assert len(set(everybody.support.lengths.tolist())) > 1
    alone = [
        loss(FoldTasks(everybody[row : row + 1], memory), torch.Generator()).item()
        for row in range(len(everybody))
    ]
    together = loss(FoldTasks(everybody, memory), torch.Generator()).item()
    assert together == pytest.approx(np.mean(alone), rel=1e-5)


def test_how_many_adapt_together_changes_nothing(
    model: ClusterSeq, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss, together = gradients(model)
    monkeypatch.setattr(metatrain, "PEOPLE_AT_ONCE", 3)
    monkeypatch.setattr(module, "SCORES_AT_ONCE", 1)
    monkeypatch.setattr(module, "PEOPLE_AT_LEAST", 3)
    same, few = gradients(model)
    torch.testing.assert_close(same, loss)
    assert few.keys() == together.keys()
    for name, gradient in few.items():
        torch.testing.assert_close(gradient, together[name])


def test_a_batch_reads_the_memory_of_the_other_folds_alone(model: ClusterSeq) -> None:
    """That of the model holds everybody's own sequence, and would give the answer away."""
    loss, before = gradients(model)
    assert model.memory is not None
    kept = model.memory.weights.clone()
    model.memory.weights.zero_()
    same, after = gradients(model)
    model.memory.weights.copy_(kept)
    assert torch.equal(same, loss)
    assert all(torch.equal(after[name], gradient) for name, gradient in before.items())


def test_nobody_reads_a_memory_with_their_own_sequence() -> None:
    folds = make_folds(
        KNOWN,
        USERS,
        N_ITEMS,
        folds=3,
        memory=True,
        generator=np.random.default_rng(0),
    )
    assert np.array_equal(np.sort(np.concatenate([fold.users for fold in folds])), USERS)
    batches = task_batches(KNOWN, folds, CONFIG.train, np.random.default_rng(1))
    sizes = [len(one.tasks) for one in batches]
    assert (max(sizes), sum(sizes)) == (CONFIG.train.tasks_per_batch, len(USERS))
    for fold in folds:
        assert fold.memory is not None
        others = KNOWN.select(np.setdiff1d(USERS, fold.users))
        expected = Memory.build(others, N_ITEMS).tensors()
        assert all(torch.equal(t, expected[name]) for name, t in fold.memory.tensors().items())
