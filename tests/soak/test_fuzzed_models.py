"""Checkpoints, states of trainings and data sets, damaged or written by somebody who means harm."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save

from clusterseq.data.dataset import MANIFEST as DATASET
from clusterseq.data.dataset import Dataset
from clusterseq.data.histories import Histories
from clusterseq.learning.checkpoint import CONFIG, FILES, ITEMS, METRICS, WEIGHTS, load_checkpoint
from clusterseq.learning.resume import MARKER, StateSaver
from clusterseq.learning.stage import Place
from clusterseq.machine.manifest import MANIFEST, read_json, write_manifest
from clusterseq.model.ranker import Ranker
from clusterseq.reading.events import read_events
from tests.soak.fuzzing import Tally, fuzz, mutated, mutated_json

Record = Callable[[str, object], None]
Cases = Callable[[int], int]
HISTORIES = Histories.from_lists([[1, 2], []])


@pytest.fixture
def copy(model_directory: Path, tmp_path: Path) -> Path:
    return shutil.copytree(model_directory, tmp_path / "model")


def usable(directory: Path) -> None:
    """What is loaded serves; whether its scores mean anything nobody can know."""
    checkpoint = load_checkpoint(directory)
    assert len(checkpoint.items) == len(checkpoint.item_counts) == checkpoint.model.n_items
    assert Ranker(checkpoint.model).score(HISTORIES).shape == (2, checkpoint.model.n_items)


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_a_damaged_checkpoint(copy: Path, cases: Cases, record_property: Record, name: str) -> None:
    """The manifest guards every file, so nothing but the file as it was is believed."""
    good = (copy / name).read_bytes()

    def case(tally: Tally, draws: random.Random) -> None:
        data = mutated(good, draws)
        (copy / name).write_bytes(data)
        before = tally.good
        tally.attempt(lambda: load_checkpoint(copy))
        if name != MANIFEST:
            assert (tally.good > before) == (data == good)

    fuzz(case, cases(5), record_property)


@pytest.mark.parametrize("name", FILES)
def test_a_forged_checkpoint(copy: Path, cases: Cases, record_property: Record, name: str) -> None:
    """The hashes are right, the file isn't: it is refused, or what it makes serves."""
    good, manifest = (copy / name).read_bytes(), read_json(copy / MANIFEST)
    about = {part: manifest[part] for part in ("provenance", "clock")}
    values = json.loads(good) if name in (CONFIG, METRICS) else None

    def case(tally: Tally, draws: random.Random) -> None:
        data = mutated(good, draws)
        if values is not None and draws.random() < 0.8:
            data = json.dumps(mutated_json(values, draws)).encode()
        (copy / name).write_bytes(data)
        write_manifest(copy, FILES, about)
        tally.attempt(lambda: usable(copy))

    fuzz(case, cases({CONFIG: 10, ITEMS: 5, WEIGHTS: 5, METRICS: 2}[name]), record_property)


def test_a_forged_manifest(copy: Path, cases: Cases, record_property: Record) -> None:
    manifest = {
        name: part for name, part in read_json(copy / MANIFEST).items() if name != "content"
    }

    def case(tally: Tally, draws: random.Random) -> None:
        body = mutated_json(manifest, draws)
        content = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        (copy / MANIFEST).write_text(json.dumps({**body, "content": content}))
        tally.attempt(lambda: usable(copy))

    fuzz(case, cases(10), record_property)


def test_forged_tensors(copy: Path, cases: Cases, record_property: Record) -> None:
    """Values, types and shapes of tensors, in a file that is otherwise in order."""
    good = load((copy / WEIGHTS).read_bytes())
    manifest = read_json(copy / MANIFEST)
    about = {part: manifest[part] for part in ("provenance", "clock")}

    def case(tally: Tally, draws: random.Random) -> None:
        tensors = dict(good)
        for _ in range(draws.choice((0, 1, 1, 2))):
            name = draws.choice(sorted(tensors))
            tensors[name] = forged(tensors[name], draws)
        (copy / WEIGHTS).write_bytes(save(tensors))
        write_manifest(copy, FILES, about)
        tally.attempt(lambda: usable(copy))

    fuzz(case, cases(8), record_property)


def forged(tensor: torch.Tensor, draws: random.Random) -> torch.Tensor:
    """Another tensor in the place of one."""
    flat = tensor.flatten().clone()
    change = draws.choice(("type", "shape", "dimension", "value", "order"))
    if change == "type":
        kinds = [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.bool]
        return tensor.to(draws.choice(kinds))
    if change == "shape":
        return flat[: draws.randint(0, len(flat))].clone()
    if change == "dimension":
        return tensor[None].repeat(draws.randint(1, 3), *(1 for _ in tensor.shape))
    if change == "value" and len(flat):
        values = [0, 1, 1e30, -1e30, float("nan"), float("inf")]
        if not tensor.is_floating_point():
            values = [-1, 0, 1, 59, 60, 2**30, -(2**31)]
        flat[draws.randrange(len(flat))] = draws.choice(values)
        return flat.reshape(tensor.shape)
    return flat.flip(0).reshape(tensor.shape)


def test_the_state_of_a_training(tmp_path: Path, cases: Cases, record_property: Record) -> None:
    model, place = torch.nn.Linear(2, 1), Place("meta", 3, 0, 1.25, 0.5, 2)
    place.kept_tensors = {"weight": torch.ones(1, 2), "bias": torch.zeros(1)}
    place.moments = {"0.step": torch.tensor(7.0), "0.exp_avg": torch.ones(1, 2)}
    with StateSaver(tmp_path, model, place, "run") as saver:
        saver.checkpoint()
    marker, tensors = tmp_path / "state" / MARKER, tmp_path / "state" / "state.safetensors"
    told, weights = marker.read_bytes(), tensors.read_bytes()

    def case(tally: Tally, draws: random.Random) -> None:
        marker.write_bytes(mutated(told, draws))
        tensors.write_bytes(mutated(weights, draws) if draws.random() < 0.5 else weights)
        saver = StateSaver(tmp_path, torch.nn.Linear(2, 1), Place("pretrain"), "run")
        tally.attempt(saver.restore)

    fuzz(case, cases(15), record_property)


def test_data_sets(
    events_file: Path, tmp_path: Path, cases: Cases, record_property: Record
) -> None:
    """A manifest that says anything, and files that it has the right hashes of."""
    data = tmp_path / "data"
    Dataset.from_events(read_events(events_file)).save(data)
    manifest = json.loads((data / DATASET).read_text())
    good = {name: (data / name).read_bytes() for name in manifest["sha256"]}

    def case(tally: Tally, draws: random.Random) -> None:
        spoilt = dict(manifest)
        for name, content in good.items():
            found = mutated(content, draws) if draws.random() < 0.3 else content
            (data / name).write_bytes(found)
            digest = hashlib.sha256(found).hexdigest()
            spoilt["sha256"] = {**spoilt["sha256"], name: digest}
        told = mutated_json(spoilt, draws) if draws.random() < 0.7 else spoilt
        (data / DATASET).write_text(json.dumps(told))

        def load() -> None:
            dataset = Dataset.load(data)
            items = dataset.sequences.items
            assert not len(items) or 0 <= items.min() <= items.max() < len(dataset.items)

        tally.attempt(load)

    fuzz(case, cases(10), record_property)
