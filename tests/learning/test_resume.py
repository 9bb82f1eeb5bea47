"""The state of a training on disk: what is kept, when, and what is refused."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch
from torch import nn

from clusterseq.errors import CheckpointError
from clusterseq.learning.resume import MARKER, StateSaver
from clusterseq.learning.stage import Place


def model_of(value: float) -> nn.Linear:
    model = nn.Linear(2, 1)
    for parameter in model.parameters():
        nn.init.constant_(parameter, value)
    return model


def full_place() -> Place:
    return Place(
        "meta",
        epoch=3,
        step=0,
        total=1.25,
        best=0.5,
        since_kept=2,
        kept_tensors={"weight": torch.ones(1, 2), "bias": torch.zeros(1)},
        moments={"0.step": torch.tensor(7.0), "0.exp_avg": torch.ones(1, 2)},
    )


def same(one: Place, two: Place) -> bool:
    first, second = vars(one), vars(two)
    return all(
        first[name].keys() == second[name].keys()
        and all(torch.equal(tensor, second[name][key]) for key, tensor in first[name].items())
        if isinstance(first[name], dict)
        else first[name] == second[name]
        for name in first
    )


def kept(directory: Path, run: str = "run") -> None:
    with StateSaver(directory, model_of(0.5), full_place(), run) as keeper:
        keeper.checkpoint()


def test_all_of_a_place_comes_back(tmp_path: Path) -> None:
    kept(tmp_path)
    model, place = model_of(0.0), Place("pretrain")
    StateSaver(tmp_path, model, place, "run").restore()
    assert same(place, full_place())
    assert torch.equal(model.weight, torch.full((1, 2), 0.5))


def test_a_place_that_has_seen_nothing_comes_back(tmp_path: Path) -> None:
    with StateSaver(tmp_path, model_of(0.5), Place("pretrain"), "run") as keeper:
        keeper.checkpoint()
    place = full_place()
    StateSaver(tmp_path, model_of(0.0), place, "run").restore()
    assert same(place, Place("pretrain"))


def test_amid_an_epoch_nothing_is_kept_unless_asked_to_stop(tmp_path: Path) -> None:
    place = full_place()
    place.step = 2
    with StateSaver(tmp_path, model_of(0.5), place, "run") as keeper:
        keeper.checkpoint()
        assert not list(tmp_path.iterdir())
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            keeper.checkpoint()
    again = Place("pretrain")
    StateSaver(tmp_path, model_of(0.0), again, "run").restore()
    assert again.step == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_ends_it_at_once(number: signal.Signals) -> None:
    with StateSaver(None, model_of(0.5), full_place(), "run"):
        os.kill(os.getpid(), number)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)


def test_handlers_of_signals_come_back() -> None:
    former = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with StateSaver(None, model_of(0.5), full_place(), "run"):
        assert signal.getsignal(signal.SIGINT) != former[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == former


def test_without_a_directory_nothing_is_kept(tmp_path: Path) -> None:
    with StateSaver(None, model_of(0.5), full_place(), "run") as keeper:
        keeper.checkpoint()
    with pytest.raises(CheckpointError, match="no state to resume"):
        keeper.restore()


def test_nothing_to_resume_is_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no state to resume; train without --resume"):
        StateSaver(tmp_path, model_of(0.0), Place("pretrain"), "run").restore()


def test_the_state_of_another_run_is_refused(tmp_path: Path) -> None:
    kept(tmp_path)
    model = model_of(0.0)
    with pytest.raises(CheckpointError, match="other events, options or another seed"):
        StateSaver(tmp_path, model, Place("pretrain"), "another").restore()
    assert torch.equal(model.weight, torch.zeros(1, 2))


@pytest.mark.parametrize("name", [MARKER, "state.safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_truncated_state_is_refused(tmp_path: Path, name: str, share: float) -> None:
    kept(tmp_path)
    file = tmp_path / "state" / name
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match="damaged"):
        StateSaver(tmp_path, model_of(0.0), Place("pretrain"), "run").restore()


def test_the_latest_state_counts(tmp_path: Path) -> None:
    kept(tmp_path)
    with StateSaver(tmp_path, model_of(2.0), Place("meta", epoch=4), "run") as keeper:
        keeper.checkpoint()
    model, place = model_of(0.0), Place("pretrain")
    StateSaver(tmp_path, model, place, "run").restore()
    assert place.epoch == 4
    assert not place.moments
    assert torch.equal(model.weight, torch.full((1, 2), 2.0))
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


@pytest.mark.parametrize("name", [MARKER, "state.safetensors"])
def test_a_single_changed_byte_is_found(tmp_path: Path, name: str) -> None:
    kept(tmp_path)
    file = tmp_path / "state" / name
    content = file.read_bytes()
    for place in range(0, len(content), 7):
        file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(CheckpointError, match=r"damaged|other events|newer"):
            StateSaver(tmp_path, model_of(0.0), Place("pretrain"), "run").restore()
