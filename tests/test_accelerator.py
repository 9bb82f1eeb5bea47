"""Devices: what may be asked for, that nothing lies elsewhere, and that an accelerator agrees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from clusterseq.accelerator import CPU, device_named
from clusterseq.config import Runtime
from clusterseq.errors import ConfigError
from clusterseq.histories import Histories
from clusterseq.model.ranker import Ranker
from clusterseq.train import Trainer, fit
from tests.tiny import CONFIG, KNOWN, N_ITEMS, VALIDATION

on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
PEOPLE = Histories.from_lists([[1, 2, 3], [], [4], [5, 1]])


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
