"""Devices: what may be asked for, that nothing lies elsewhere, and that an accelerator agrees."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from clusterseq.baselines.bert4rec import BERT4Rec
from clusterseq.baselines.episodes import Schedule
from clusterseq.baselines.gru4rec import GRU4Rec
from clusterseq.baselines.mecos import Mecos, fit_mecos
from clusterseq.baselines.melu import MeLU, fit_melu
from clusterseq.baselines.metatl import MetaTL, fit_metatl
from clusterseq.baselines.narm import NARM
from clusterseq.baselines.neural import NextItemNetwork, fit_network
from clusterseq.baselines.next_item_losses import GBCE, FullSoftmax, SampledSoftmax
from clusterseq.baselines.peer import Setting
from clusterseq.baselines.sasrec import SASRec
from clusterseq.baselines.transrec import TransRec
from clusterseq.config import Runtime
from clusterseq.data.histories import Histories
from clusterseq.data.tasks import prefixes
from clusterseq.data.windows import Windows
from clusterseq.errors import ConfigError
from clusterseq.judging.scorer import Scorer
from clusterseq.learning.train import fit
from clusterseq.learning.trainer import Trainer
from clusterseq.machine.accelerator import CPU, device_named
from clusterseq.model.ranker import Ranker
from tests.tiny import CONFIG, KNOWN, N_ITEMS, VALIDATION

on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
PEOPLE = Histories.from_lists([[1, 2, 3], [], [4], [5, 1]])
BRIEF = Schedule(support=3, batch=16, most_steps=2, check_every=1)
NETWORKS: dict[str, Callable[[Setting], NextItemNetwork]] = {
    "gru4rec": partial(fit_network, GRU4Rec, loss=FullSoftmax(), dim=8, epochs=1),
    "narm": partial(fit_network, NARM, loss=SampledSoftmax(9), dim=8, epochs=1),
    "sasrec": partial(fit_network, SASRec, loss=GBCE(9), dim=8, epochs=1),
    "bert4rec": partial(fit_network, BERT4Rec, loss=SampledSoftmax(9), dim=8, epochs=1),
    "transrec": partial(fit_network, TransRec, loss=SampledSoftmax(9), dim=8, epochs=1),
}
EPISODIC: dict[str, Callable[[Setting], MetaTL | MeLU | Mecos]] = {
    "metatl": partial(fit_metatl, mended=True, schedule=BRIEF),
    "melu": partial(fit_melu, schedule=BRIEF),
    "mecos": partial(fit_mecos, schedule=BRIEF),
}
PEERS: dict[str, Callable[[Setting], Scorer]] = {**NETWORKS, **EPISODIC}


@pytest.fixture
def former_precision() -> object:
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "", "CUDA", "mps"])
def test_a_device_of_no_known_name_is_refused(name: str) -> None:
    if name == "cuda:":
        pytest.skip("read as cuda")
    with pytest.raises(ConfigError, match="give cpu, cuda or cuda:1"):
        device_named(name)


def test_a_device_that_is_not_there_is_refused_before_any_work() -> None:
    beyond = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(ConfigError, match=f"{beyond}.*CUDA devices.*or give cpu"):
        fit(KNOWN, VALIDATION, CONFIG, n_items=N_ITEMS, runtime=Runtime(device=beyond))


def test_every_tensor_of_a_step_is_made_where_the_model_lies() -> None:
    trainer = Trainer(KNOWN, VALIDATION, CONFIG, N_ITEMS, seed=0)
    trainer.start_clusters()
    for stage in (trainer.pretraining(), trainer.meta_training()):
        batch = stage.batches(np.random.default_rng(0))[0]
        assert stage.validate is not None
        # What is made without saying where comes to lie on "meta", and meets nothing of the model.
        with torch.device("meta"):
            stage.loss(batch, torch.Generator().manual_seed(0)).backward()  # type: ignore[arg-type, no-untyped-call]
            stage.validate()


@pytest.mark.parametrize("name", NETWORKS)
def test_every_tensor_of_a_peer_is_made_where_it_lies(name: str) -> None:
    network = NETWORKS[name](Setting(KNOWN, VALIDATION, N_ITEMS))
    windows = Windows.of(KNOWN, 5).batches(16, np.random.default_rng(0))[0]
    with torch.device("meta"):
        queries, targets = network.exercises(windows, torch.Generator().manual_seed(0))
        loss = SampledSoftmax(9)(network.items, queries, targets, torch.Generator().manual_seed(0))
        scores = network.score(PEOPLE)
    assert loss.device == scores.device == CPU


@pytest.mark.parametrize("name", EPISODIC)
def test_every_tensor_of_a_meta_learning_peer_is_made_where_it_lies(name: str) -> None:
    model = EPISODIC[name](Setting(KNOWN, VALIDATION, N_ITEMS))
    tasks = prefixes(KNOWN, np.random.default_rng(0), longest=3, at_most=16)
    with torch.device("meta"):
        loss = model.loss(tasks, torch.Generator().manual_seed(0))
        scores = model.score(PEOPLE)
    assert loss.device == scores.device == CPU


@on_cuda
@pytest.mark.parametrize("name", PEERS)
def test_a_peer_learns_and_scores_there(name: str) -> None:
    there = Setting(KNOWN, VALIDATION, N_ITEMS, device=torch.device("cuda"))
    scorer = PEERS[name](there)
    assert scorer.score(PEOPLE).is_cuda
    assert 0 < there.mrr(scorer) < 1


def test_a_model_moves_with_its_memory() -> None:
    model = Trainer(KNOWN, VALIDATION, CONFIG, N_ITEMS, seed=0).model
    before = Ranker(model).score(PEOPLE)
    assert model.memory is not None
    moved = model.on(CPU)
    assert moved.device == CPU
    assert torch.equal(Ranker(moved).score(PEOPLE), before)


@on_cuda
def test_a_training_there_ends_like_one_here(former_precision: None) -> None:
    here = fit(KNOWN, VALIDATION, CONFIG, n_items=N_ITEMS)
    there = fit(KNOWN, VALIDATION, CONFIG, n_items=N_ITEMS, runtime=Runtime(device="cuda"))
    assert there.device == CPU, "a model is saved for any machine"
    assert here.tensors().keys() == there.tensors().keys()
    trainer = Trainer(KNOWN, VALIDATION, CONFIG, N_ITEMS, seed=0)
    trainer.model = here
    judged = trainer.meta_training().validate
    trainer.model = there
    other = trainer.meta_training().validate
    assert judged is not None
    assert other is not None
    assert abs(judged() - other()) < 0.1  # dropout differs: the generators are others


@on_cuda
def test_scores_there_equal_those_here(tmp_path: Path) -> None:
    model = fit(KNOWN, VALIDATION, CONFIG, n_items=N_ITEMS)
    here = Ranker(model).score(PEOPLE)
    there = Ranker(model.on(torch.device("cuda"))).score(PEOPLE)
    assert there.is_cuda
    torch.testing.assert_close(there.cpu(), here, rtol=1e-4, atol=1e-4)
