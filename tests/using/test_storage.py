"""Models in a bucket of a real server that speaks S3, and in a folder: pushed, pulled, refused."""

from __future__ import annotations

import dataclasses
import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import obstore
import obstore.store
import pytest

from clusterseq import cli
from clusterseq.errors import CheckpointError, DataError
from clusterseq.learning.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from clusterseq.machine.manifest import MANIFEST
from clusterseq.model.index import ABOUT
from clusterseq.using import storage
from clusterseq.using.recommender import Recommender
from clusterseq.using.storage import pull_model, push_model
from tests.s3 import ask


@pytest.fixture
def address(s3_account: pytest.MonkeyPatch, s3_server: str, request: pytest.FixtureRequest) -> str:
    """Of a folder in a new bucket."""
    name = f"models-{abs(hash(request.node.name))}"
    ask(s3_server, "PUT", name)
    return f"s3://{name}/models/shop"


@pytest.fixture
def there(address: str) -> str:
    """The same folder, as ``ask`` names it."""
    return address.removeprefix("s3://")


@pytest.fixture
def other(checkpoint: Checkpoint, tmp_path: Path) -> Path:
    """The same model without titles."""
    save_checkpoint(tmp_path / "other", dataclasses.replace(checkpoint, titles=None))
    return tmp_path / "other"


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_a_model_comes_back_as_it_was(
    s3_account: pytest.MonkeyPatch,
    address: str,
    model_directory: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    copy = tmp_path / "copy"
    assert cli.main(["push", str(model_directory), address, "--json"]) == 0
    pushed = json.loads(capfd.readouterr().out)
    s3_account.setattr(storage, "PIECE", 1_000)  # so that a file comes in several
    assert cli.main(["pull", address, "--out", str(copy), "--json"]) == 0
    pulled = json.loads(capfd.readouterr().out)
    assert contents(copy) == contents(model_directory)
    assert pushed["bytes"] == pulled["bytes"] == sum(map(len, contents(copy).values()))
    history = ["i01", "i02"]
    found, expected = (Recommender.load(each) for each in (copy, model_directory))
    assert found.recommend(history) == expected.recommend(history)


def test_a_place_that_is_no_folder_is_told(model_directory: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "model"):
        with pytest.raises(DataError, match="can't be a folder"):
            push_model(model_directory, place.as_uri())
    assert (tmp_path / "file").read_text() == "mine"


def test_both_take_the_place_of_a_former_model(
    address: str, model_directory: Path, other: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    indexed = shutil.copytree(model_directory, tmp_path / "indexed")
    (indexed / ABOUT).write_text("{}")
    push_model(indexed, address)
    pull_model(address, copy)
    assert (copy / ABOUT).exists()
    push_model(other, address)
    pull_model(address, copy)
    assert contents(copy) == contents(other), "the index of the former model is gone, too"
    assert load_checkpoint(copy).titles is None


def test_what_is_not_whole_is_refused_and_the_former_model_kept(
    s3_server: str, address: str, there: str, model_directory: Path, other: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    push_model(model_directory, address)
    pull_model(address, copy)
    ask(s3_server, "PUT", f"{there}/items.parquet", (other / "items.parquet").read_bytes())
    told = rf"{address}/items\.parquet: .*; if it is being pushed just now, pull it again"
    with pytest.raises(CheckpointError, match=told):
        pull_model(address, copy)
    folder = obstore.store.from_url(address, client_options={"allow_http": True})
    obstore.delete(folder, "items.parquet")
    with pytest.raises(CheckpointError, match="pull it again"):
        pull_model(address, copy)
    assert contents(copy) == contents(model_directory)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_names_that_no_model_has_are_left_where_they_are(
    s3_server: str, address: str, there: str, model_directory: Path, tmp_path: Path
) -> None:
    push_model(model_directory, address)
    ask(s3_server, "PUT", f"{there}/__init__.py", b"print()")
    ask(s3_server, "PUT", f"{there}/deeper/weights.safetensors", b"other")
    pull_model(address, tmp_path / "copy")
    assert contents(tmp_path / "copy") == contents(model_directory)


def test_a_damaged_model_is_not_pushed(address: str, model_directory: Path, tmp_path: Path) -> None:
    damaged = shutil.copytree(model_directory, tmp_path / "damaged")
    (damaged / "config.json").write_bytes(b"{}")
    with pytest.raises(CheckpointError, match=r"config\.json"):
        push_model(damaged, address)
    with pytest.raises(DataError, match=rf"no {MANIFEST} there, so no model; check the address"):
        pull_model(address, tmp_path / "copy")


def test_what_is_no_model_is_not_replaced(
    address: str, model_directory: Path, tmp_path: Path
) -> None:
    push_model(model_directory, address)
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "letter.txt").write_text("dear")
    with pytest.raises(DataError, match="so it isn't replaced"):
        pull_model(address, taken)
    assert (taken / "letter.txt").exists()


def test_a_folder_is_a_storage_too(model_directory: Path, tmp_path: Path) -> None:
    (tmp_path / "shelf").mkdir()
    moved: list[tuple[int, int]] = []
    address = (tmp_path / "shelf").as_uri()
    push_model(model_directory, address, progress=lambda *done: moved.append(done))
    assert moved[-1][0] == moved[-1][1] == pull_model(address, tmp_path / "copy")
    assert contents(tmp_path / "copy") == contents(model_directory)


def test_an_absent_bucket_and_wrong_credentials_are_told(
    s3_server: str, address: str, model_directory: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="there is no such bucket; check its name"):
        push_model(model_directory, "s3://bucket-of-nobody/shop")
    ask(s3_server, "POST", "moto-api/reset-auth", b"0")  # now it wants to know who asks
    told = r"refuses \(InvalidAccessKeyId\); check AWS_ACCESS_KEY_ID and AWS_SECRET"
    with pytest.raises(DataError, match=told):
        push_model(model_directory, address)
    with pytest.raises(DataError, match=told):
        pull_model(address, tmp_path / "copy")


def test_a_storage_that_is_away_or_unknown_is_told(
    s3_account: pytest.MonkeyPatch, model_directory: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        s3_account.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")
        assert cli.main(["push", str(model_directory), "s3://bucket/shop"]) == 2
    assert "s3://bucket/shop: nobody answers there; check the address" in capfd.readouterr().err
    assert cli.main(["push", str(model_directory), "nowhere://bucket/shop"]) == 2
    assert "Unable to recognise URL" in capfd.readouterr().err


def test_files_that_are_no_models_are_not_overwritten(
    model_directory: Path, tmp_path: Path
) -> None:
    place = tmp_path / "project"
    place.mkdir()
    (place / "README.md").write_text("mine")
    with pytest.raises(DataError, match=r"holds README.md and no manifest.json"):
        push_model(model_directory, place.as_uri())
    assert contents(place) == {"README.md": b"mine"}


def test_a_push_that_was_broken_off_can_be_done_again(
    model_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "there"
    with monkeypatch.context() as patch:
        patch.setattr(storage, "_pieces", lambda path, transfer: broken_off(path))
        with pytest.raises(ConnectionError):
            push_model(model_directory, place.as_uri())
    with pytest.raises(CheckpointError):
        pull_model(place.as_uri(), tmp_path / "copy")
    push_model(model_directory, place.as_uri())
    pull_model(place.as_uri(), tmp_path / "copy")
    assert load_checkpoint(tmp_path / "copy").content == load_checkpoint(model_directory).content


def broken_off(path: Path) -> Iterator[bytes]:
    """A file, until the line is cut."""
    if path.name == "model.safetensors":
        raise ConnectionError
    yield path.read_bytes()
