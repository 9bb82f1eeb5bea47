"""A saved model comes back as it was, or not at all and with one clear line."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file

from clusterseq.data.histories import Histories
from clusterseq.errors import CheckpointError, DataError
from clusterseq.learning.checkpoint import (
    CARD,
    CONFIG,
    FILES,
    ITEMS,
    LOG,
    METRICS,
    WEIGHTS,
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from clusterseq.machine.manifest import FORMAT, MANIFEST, read_json, write_manifest
from clusterseq.model.ranker import Ranker


@pytest.fixture
def copy(model_directory: Path, tmp_path: Path) -> Path:
    """A model of the test's own, to spoil."""
    return shutil.copytree(model_directory, tmp_path / "model")


def describe_anew(directory: Path, about: Mapping[str, Any] | None = None) -> None:
    """Rewrite the manifest, as somebody does who knows the format and means harm."""
    former = read_json(directory / MANIFEST)
    write_manifest(directory, FILES, about or {"provenance": former["provenance"]})


def seal(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest with the hash over itself."""
    body = {name: value for name, value in manifest.items() if name != "content"}
    content = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return {**body, "content": content}


def refused(directory: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(directory)
    message = str(caught.value)
    assert "\n" not in message
    assert ";" in message, "a message says what to do"
    return message


def test_what_is_loaded_is_what_was_saved(checkpoint: Checkpoint, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "again", checkpoint)
    loaded = load_checkpoint(tmp_path / "again")
    assert loaded.config == checkpoint.config
    assert loaded.items == checkpoint.items
    assert loaded.item_counts.tolist() == checkpoint.item_counts.tolist()
    assert loaded.titles == checkpoint.titles
    assert loaded.provenance == checkpoint.provenance
    assert loaded.metrics == checkpoint.metrics
    assert loaded.ledger is not None
    for name, kept in vars(checkpoint.ledger).items():
        np.testing.assert_array_equal(getattr(loaded.ledger, name), kept)
    histories = Histories.from_lists([[1, 2, 3], [], [7]])
    scores = Ranker(loaded.model).score(histories)
    torch.testing.assert_close(scores, Ranker(checkpoint.model).score(histories), rtol=0, atol=0)


def test_what_made_a_model_is_read_from_it(copy: Path) -> None:
    manifest, versions = read_json(copy / MANIFEST), {"clusterseq": "0.0.1"}
    (copy / MANIFEST).write_text(json.dumps(seal({**manifest, "versions": versions})))
    assert load_checkpoint(copy).versions == versions
    (copy / MANIFEST).write_text(json.dumps(seal({**manifest, "versions": "0.0.1"})))
    assert "it doesn't say what made it" in refused(copy)


def test_the_same_model_gives_the_same_bytes(
    checkpoint: Checkpoint, model_directory: Path, tmp_path: Path
) -> None:
    save_checkpoint(tmp_path / "again", checkpoint)
    for name in (*FILES, MANIFEST):
        assert (tmp_path / "again" / name).read_bytes() == (model_directory / name).read_bytes()


def test_integer_ids_and_missing_titles_survive(checkpoint: Checkpoint, tmp_path: Path) -> None:
    items = type(checkpoint.items).from_ids(range(len(checkpoint.items)))
    titles = [None, *(checkpoint.titles or [])[1:]]
    for kept in (titles, None):
        save_checkpoint(
            tmp_path / "model", dataclasses.replace(checkpoint, items=items, titles=kept)
        )
        loaded = load_checkpoint(tmp_path / "model")
        assert loaded.items.is_integer
        assert loaded.titles == kept


def test_the_log_goes_along_and_is_not_needed(copy: Path) -> None:
    lines = (copy / LOG).read_text().splitlines()
    assert {json.loads(line)["stage"] for line in lines} >= {"pretrain", "meta"}
    (copy / LOG).write_text("damaged")
    load_checkpoint(copy)


def test_the_card_tells_what_the_model_is_and_nothing_reads_it(copy: Path) -> None:
    _, head, text = (copy / CARD).read_text(encoding="utf-8").split("---\n", 2)
    assert "library_name: clusterseq" in head.splitlines()
    metrics = load_checkpoint(copy).metrics
    assert "of 60 items, trained on" in text
    for name, figures in {"this one": metrics["test"], **metrics["baselines"]}.items():
        assert f"| {name} | {figures['full']['mrr']:.4f} |" in text
    (copy / CARD).unlink()
    load_checkpoint(copy)


def test_no_user_is_named_and_nothing_is_pickled(
    model_directory: Path, events_frame: pl.DataFrame
) -> None:
    everything = b"".join(path.read_bytes() for path in model_directory.iterdir())
    assert not any(user.encode() in everything for user in events_frame["user"].unique())
    assert {path.suffix for path in model_directory.iterdir()} <= {
        *(".json", ".jsonl", ".md", ".parquet", ".safetensors")
    }


def test_everybody_may_read_what_the_umask_allows(model_directory: Path) -> None:
    assert len({path.stat().st_mode for path in model_directory.iterdir()}) == 1


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda data: data[:-1], "bytes where"),
        (lambda data: b"", "bytes where"),
        (lambda data: data[:9] + bytes([data[9] ^ 1]) + data[10:], "checksum differs"),
        (None, "No such file"),
    ],
    ids=["truncated", "empty", "one bit", "missing"],
)
def test_damage_is_found_in_every_file(
    copy: Path, name: str, spoil: Callable[[bytes], bytes] | None, told: str
) -> None:
    if spoil is None:
        (copy / name).unlink()
    else:
        (copy / name).write_bytes(spoil((copy / name).read_bytes()))
    message = refused(copy)
    assert name in message
    assert told in message


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, '{"format": "one"}', "\xff"])
def test_a_damaged_manifest_is_told(copy: Path, text: str) -> None:
    (copy / MANIFEST).write_text(text, encoding="latin1")
    assert f"{MANIFEST}: damaged" in refused(copy)


def test_the_manifest_guards_itself(copy: Path) -> None:
    manifest = read_json(copy / MANIFEST)
    manifest["provenance"]["known_users"] += 1
    (copy / MANIFEST).write_text(json.dumps(manifest))
    assert "its own checksum differs" in refused(copy)


def test_a_newer_format_asks_for_an_upgrade(copy: Path) -> None:
    manifest = read_json(copy / MANIFEST) | {"format": FORMAT + 1, "files": "unheard of"}
    (copy / MANIFEST).write_text(json.dumps(manifest))
    assert "upgrade with pip install -U clusterseq" in refused(copy)


def test_what_is_no_model_is_told(tmp_path: Path) -> None:
    assert "no such directory" in refused(tmp_path / "nothing")
    assert f"no {MANIFEST} in it" in refused(tmp_path)


def test_something_else_is_never_replaced(checkpoint: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(DataError, match="isn't replaced"):
        save_checkpoint(tmp_path, checkpoint)
    assert (tmp_path / "letters.txt").read_text() == "dear"


def test_an_incomplete_provenance_is_refused(copy: Path) -> None:
    good = read_json(copy / MANIFEST)["provenance"]
    wrong: list[object] = [None, [], {}, {**good, "cutoff": "soon"}, {**good, "more": 1}]
    for bad in wrong:
        describe_anew(copy, {"provenance": bad})
        assert "its provenance is incomplete" in refused(copy)


# From here on the hashes are right: somebody means harm, or another program has written the files.


def test_weights_that_are_not_finite_are_refused(copy: Path) -> None:
    tensors = load_file(copy / WEIGHTS)
    name = next(name for name, tensor in tensors.items() if tensor.is_floating_point())
    tensors[name] = tensors[name].clone()
    tensors[name].view(-1)[0] = torch.nan
    save_file(tensors, copy / WEIGHTS)
    describe_anew(copy)
    message = refused(copy)
    assert name in message
    assert "not finite" in message


@pytest.mark.parametrize("change", ["missing", "unknown", "shape", "type"])
def test_other_tensors_than_the_models_are_refused(copy: Path, change: str) -> None:
    tensors = load_file(copy / WEIGHTS)
    name = next(name for name in sorted(tensors) if tensors[name].dim() == 2)
    tensor = tensors.pop(name)
    if change != "missing":
        others = {"unknown": tensor, "shape": tensor.T.contiguous(), "type": tensor.double()}
        tensors["intruder" if change == "unknown" else name] = others[change]
    if change == "unknown":
        tensors[name] = tensor.clone()
    save_file(tensors, copy / WEIGHTS)
    describe_anew(copy)
    assert (name if change != "unknown" else "intruder") in refused(copy)


def header(**tensors: object) -> bytes:
    text = json.dumps(tensors).encode()
    return struct.pack("<Q", len(text)) + text


HOSTILE_WEIGHTS = {
    "no header": b"",
    "a header of 2^62 bytes": struct.pack("<Q", 2**62) + b"{}",
    "a header longer than the file": struct.pack("<Q", 10**6) + b"{}",
    "not JSON": struct.pack("<Q", 4) + b"\x80\x04N.",
    "nested without end": struct.pack("<Q", 10**5) + b"[" * 10**5,
    "a terabyte": header(a={"dtype": "F32", "shape": [2**38], "data_offsets": [0, 2**40]}),
    "an overflow": header(a={"dtype": "F32", "shape": [2**62, 8], "data_offsets": [0, 0]}),
    "backwards": header(a={"dtype": "F32", "shape": [1], "data_offsets": [8, 4]}) + bytes(8),
    "overlapping": header(
        a={"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
        b={"dtype": "F32", "shape": [1], "data_offsets": [2, 6]},
    )
    + bytes(6),
}


@pytest.mark.parametrize("data", HOSTILE_WEIGHTS.values(), ids=HOSTILE_WEIGHTS.keys())
def test_a_hostile_header_is_refused_before_memory_is_taken(copy: Path, data: bytes) -> None:
    # Zeros behind it, so that the file is large enough for the model.
    size = (copy / WEIGHTS).stat().st_size
    (copy / WEIGHTS).write_bytes(data.ljust(size, b"\0") if data else data)
    describe_anew(copy)
    assert f"{WEIGHTS}: damaged" in refused(copy)


@pytest.mark.parametrize(
    "change",
    [
        {"dim": 2**40},
        {"clusters": 2**40},
        {"bottleneck": 2**40},
        {"cluster_dim": 2**40},
        {"inner_steps": 2**40},
        {"n_items": 2**40},
        {"n_items": 61},
        {"dim": -1},
        {"dim": "wide"},
        {"width": 3},
    ],
    ids=str,
)
def test_a_configuration_that_does_not_fit_is_refused(copy: Path, change: dict[str, Any]) -> None:
    values = read_json(copy / CONFIG)
    values["model"] |= change
    (copy / CONFIG).write_text(json.dumps(values))
    describe_anew(copy)
    refused(copy)


def rewritten(path: Path, **columns: pl.Series) -> None:
    pl.read_parquet(path).with_columns(**columns).write_parquet(path)


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"id": pl.Series(["same"] * 60)}, "not sorted or not unique"),
        ({"id": pl.Series([f"i{i:02}" for i in range(60)][::-1])}, "not sorted or not unique"),
        ({"id": pl.Series([None] * 60, dtype=pl.String)}, "neither text nor whole numbers"),
        ({"id": pl.Series(np.arange(60) / 2)}, "neither text nor whole numbers"),
        ({"count": pl.Series(["many"] * 60)}, "aren't whole numbers"),
        ({"count": pl.Series([None] * 60, dtype=pl.Int64)}, "aren't whole numbers"),
        ({"title": pl.Series([b"\xff"] * 60)}, "aren't text"),
    ],
)
def test_a_catalogue_that_is_none_is_refused(
    copy: Path, columns: dict[str, pl.Series], told: str
) -> None:
    rewritten(copy / ITEMS, **columns)
    describe_anew(copy)
    assert told in refused(copy)


def test_a_catalogue_of_another_length_is_refused_before_it_is_read(copy: Path) -> None:
    bomb = pl.DataFrame({"id": [0] * 10**6, "count": [0] * 10**6})
    bomb.write_parquet(copy / ITEMS)
    assert (copy / ITEMS).stat().st_size < 10_000
    describe_anew(copy)
    assert "1000000 items where the configuration says 60" in refused(copy)


def test_a_catalogue_without_its_columns_is_refused(copy: Path) -> None:
    pl.DataFrame({"name": ["x"] * 60}).write_parquet(copy / ITEMS)
    describe_anew(copy)
    assert f"{ITEMS}: damaged" in refused(copy)
    (copy / ITEMS).write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    describe_anew(copy)
    assert f"{ITEMS}: damaged" in refused(copy)


@pytest.mark.parametrize("name", [CONFIG, METRICS])
@pytest.mark.parametrize("text", ["[]", "{", "[" * 100_000])
def test_json_that_is_no_object_is_refused(copy: Path, name: str, text: str) -> None:
    (copy / name).write_text(text)
    describe_anew(copy)
    assert f"{name}: damaged" in refused(copy)


KILLED = """
import os, shutil, signal, sys
from clusterseq.learning import checkpoint
from clusterseq.machine import directory
from clusterseq.learning.checkpoint import load_checkpoint, save_checkpoint

def save_until(target, module, name, calls):
    wrapped, left = getattr(module, name), [calls]

    def killing(*args, **kwargs):
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
        return wrapped(*args, **kwargs)

    former = load_checkpoint(target)
    former.metrics["generation"] = 2
    setattr(module, name, killing)
    save_checkpoint(target, former)

# The parent uses neither model nor data frame, so no thread is lost in the fork.
for moment in sys.argv[2:]:
    owner, name, calls = moment.split(":")
    target = shutil.copytree(sys.argv[1], f"{sys.argv[1]}-{moment}")
    child = os.fork()
    if child == 0:
        module = {"checkpoint": checkpoint, "directory": directory, "os": os}[owner]
        save_until(target, module, name, int(calls))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
NEVER = "os:rename:99"
BEFORE = (
    *("checkpoint:write_json:0", "checkpoint:write_json:1", "checkpoint:write_tensors:0"),
    *("checkpoint:write_manifest:0", "directory:sync:0", "directory:sync:6"),
    *("directory:_swap:0", "os:rename:0", "os:rename:1"),
)
AFTER = ("directory:sync:7", NEVER)


def test_a_kill_at_any_moment_leaves_a_model(copy: Path) -> None:
    words = [sys.executable, "-c", KILLED, str(copy), *BEFORE, *AFTER]
    source = str(Path(__file__).parents[2] / "src")
    environment = os.environ | {"PYTHONPATH": source, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    statuses = [-signal.SIGKILL] * (len(BEFORE) + len(AFTER) - 1)
    assert list(map(int, done.stdout.split())) == [*statuses, 0]
    for moment in (*BEFORE, *AFTER):
        directory = copy.with_name(f"{copy.name}-{moment}")
        metrics = load_checkpoint(directory).metrics
        assert metrics.get("generation", 1) == (2 if moment in AFTER else 1)
        save_checkpoint(directory, load_checkpoint(directory))
        load_checkpoint(directory)


def test_a_vocabulary_of_another_model_is_refused(copy: Path, tmp_path: Path) -> None:
    """Of the same length; its file has another hash, and with that mended nobody could know."""
    names = [f"x{number:02}" for number in range(60)]
    rewritten(copy / ITEMS, id=pl.Series(names))
    assert f"{ITEMS}: damaged" in refused(copy)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "/dev/zero"])
def test_names_in_a_manifest_are_never_opened(copy: Path, name: str) -> None:
    """A model's files have fixed names: what a manifest lists besides is looked up by nobody."""
    manifest = read_json(copy / MANIFEST)
    manifest["files"][name] = {"bytes": 0, "sha256": ""}
    (copy / MANIFEST).write_text(json.dumps(seal(manifest)))
    load_checkpoint(copy)
    manifest["files"] = {name: manifest["files"][ITEMS]}
    (copy / MANIFEST).write_text(json.dumps(seal(manifest)))
    assert f"it doesn't list {CONFIG}" in refused(copy)


@pytest.mark.parametrize("kind", ["device", "pipe", "directory"])
def test_what_could_be_read_without_end_is_not_opened(copy: Path, kind: str) -> None:
    (copy / METRICS).unlink()
    make = {
        "device": lambda path: path.symlink_to("/dev/zero"),
        "pipe": os.mkfifo,
        "directory": os.mkdir,
    }
    make[kind](copy / METRICS)
    manifest = read_json(copy / MANIFEST)
    manifest["files"][METRICS]["bytes"] = (copy / METRICS).stat().st_size
    (copy / MANIFEST).write_text(json.dumps(seal(manifest)))
    assert f"{METRICS}: damaged (not a file)" in refused(copy)


def test_a_catalogue_larger_than_the_weights_is_refused_before_it_is_read(copy: Path) -> None:
    """Both files agree on ten million items, and the weights are of sixty."""
    bomb = pl.select(id=pl.int_range(10**7), count=pl.lit(0, dtype=pl.Int64))
    bomb.write_parquet(copy / ITEMS)
    values = read_json(copy / CONFIG)
    values["model"]["n_items"] = 10**7
    (copy / CONFIG).write_text(json.dumps(values))
    describe_anew(copy)
    assert "too small for the model" in refused(copy)


@pytest.mark.parametrize("value", [-1, 60, 2**40])
def test_anchors_beyond_the_catalogue_are_refused(copy: Path, value: int) -> None:
    tensors = load_file(copy / WEIGHTS)
    tensors["anchors"][-1] = value
    save_file(tensors, copy / WEIGHTS)
    describe_anew(copy)
    assert "anchors are no items of its own" in refused(copy)


@pytest.mark.parametrize("name", ["memory.starts", "items.graph_items"])
def test_indices_of_another_width_are_refused(copy: Path, name: str) -> None:
    tensors = load_file(copy / WEIGHTS)
    narrower = torch.int32 if tensors[name].dtype == torch.int64 else torch.int64
    tensors[name] = tensors[name].to(narrower)
    save_file(tensors, copy / WEIGHTS)
    describe_anew(copy)
    assert "a sparse matrix of the model is damaged" in refused(copy)


@pytest.mark.parametrize(
    "clock", [{"newest": float("inf"), "span": 1}, {"newest": 1, "span": float("inf")}, {}, 5]
)
def test_a_clock_that_is_none_is_refused(copy: Path, clock: object) -> None:
    manifest = read_json(copy / MANIFEST) | {"clock": clock}
    (copy / MANIFEST).write_text(json.dumps(seal(manifest)))
    refused(copy)


@pytest.mark.parametrize("name", ["scale", "inner_rate", "cluster_temperature"])
@pytest.mark.parametrize("value", ["1e999", "NaN", "1e300", "1" + "0" * 400])
def test_numbers_beyond_single_precision_are_refused(copy: Path, name: str, value: str) -> None:
    values = read_json(copy / CONFIG)
    values["model"][name] = "here"
    (copy / CONFIG).write_text(json.dumps(values).replace('"here"', value))
    describe_anew(copy)
    assert name in refused(copy)


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_a_file_that_goes_while_it_is_read_is_told(copy: Path, name: str) -> None:
    refused = 0
    with going_and_coming(copy / name):
        while refused < 20:
            refused += not loads(copy)
    assert loads(copy)


@contextmanager
def going_and_coming(file: Path) -> Iterator[None]:
    """A file is moved away and back again all the time, as where a directory is copied over."""
    stop = threading.Event()

    def move() -> None:
        away = file.with_name("away")
        while not stop.is_set():
            file.rename(away)
            time.sleep(0.0001)
            away.rename(file)
            time.sleep(0.003)

    mover = threading.Thread(target=move)
    mover.start()
    try:
        yield
    finally:
        stop.set()
        mover.join()


def loads(directory: Path) -> bool:
    """Whether it is read; that it can't be is told in one way."""
    try:
        load_checkpoint(directory)
    except CheckpointError:
        return False
    return True
