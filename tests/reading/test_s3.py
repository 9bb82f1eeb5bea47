"""Events in buckets of a real server that speaks S3, on loopback and without an account."""

from __future__ import annotations

import io
import socket
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from clusterseq import cli
from clusterseq.data.dataset import Dataset
from clusterseq.errors import DataError
from clusterseq.learning.checkpoint import load_checkpoint
from clusterseq.reading.events import read_events
from tests.s3 import ask

# Each test has a bucket of its own: polars keeps its connections, credentials included, by bucket.


@pytest.fixture
def bucket(s3_server: str, request: pytest.FixtureRequest, events_frame: pl.DataFrame) -> str:
    """The events in two files, and a note beside them."""
    name = f"bucket-{abs(hash(request.node.name))}"
    ask(s3_server, "PUT", name)
    for number, part in enumerate(events_frame.iter_slices(len(events_frame) // 2 + 1)):
        file = io.BytesIO()
        part.write_parquet(file)
        ask(s3_server, "PUT", f"{name}/clicks/week/{number}.parquet", file.getvalue())
    ask(s3_server, "PUT", f"{name}/clicks/note.txt", b"of last week")
    return f"s3://{name}"


@pytest.mark.parametrize("path", ["week/*.parquet", "**/*.parquet", "week/"])
def test_a_pattern_and_a_folder_are_read_as_the_files_are(
    s3_account: pytest.MonkeyPatch, bucket: str, events_frame: pl.DataFrame, path: str
) -> None:
    found, expected = read_events(f"{bucket}/clicks/{path}"), read_events(events_frame)
    assert found.frame.equals(expected.frame)


def test_the_commands_prepare_and_train_from_a_bucket(
    s3_account: pytest.MonkeyPatch,
    bucket: str,
    events_frame: pl.DataFrame,
    small_options: list[str],
    tmp_path: Path,
) -> None:
    source, data, model = f"{bucket}/clicks/week/*.parquet", tmp_path / "data", tmp_path / "model"
    assert cli.main(["prepare", source, "--out", str(data)]) == 0
    direct = Dataset.from_events(read_events(events_frame))
    assert Dataset.load(data).sequences.items.tolist() == direct.sequences.items.tolist()
    assert cli.main(["train", source, "--out", str(model), *small_options]) == 0
    assert set(load_checkpoint(model).items.ids) <= set(events_frame["item"])


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("clicks/week/9.parquet", r"9\.parquet: no such file; check the address"),
        ("clicks/month/*.parquet", "no file matches; check the pattern"),
        ("clicks/week", r"no such file.* \(that of a folder ends in /\)"),
        ("clicks/", "not all files there are Parquet; give a pattern such as"),
        ("clicks/note.txt", r"note\.txt: can't be read as Parquet"),
    ],
)
def test_what_is_not_there_is_told(
    s3_account: pytest.MonkeyPatch, bucket: str, path: str, told: str
) -> None:
    with pytest.raises(DataError, match=told):
        read_events(f"{bucket}/{path}")


def test_an_absent_bucket_is_told(s3_account: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="there is no such bucket; check its name"):
        read_events("s3://bucket-of-nobody/clicks/*.parquet")


@pytest.mark.parametrize("path", ["clicks/week/0.parquet", "clicks/week/*.parquet"])
def test_wrong_credentials_are_told(
    s3_account: pytest.MonkeyPatch, s3_server: str, bucket: str, path: str
) -> None:
    ask(s3_server, "POST", "moto-api/reset-auth", b"0")  # now it wants to know who asks
    told = r"refuses \(InvalidAccessKeyId\); check AWS_ACCESS_KEY_ID and AWS_SECRET"
    with pytest.raises(DataError, match=told):
        read_events(f"{bucket}/{path}")


def test_nobody_may_read_what_is_not_public(s3_account: pytest.MonkeyPatch, bucket: str) -> None:
    s3_account.setenv("AWS_SKIP_SIGNATURE", "true")
    with pytest.raises(DataError, match=r"refuses \(403 Forbidden\)"):
        read_events(f"{bucket}/clicks/week/0.parquet")


def test_a_machine_in_the_cloud_is_somebody(
    s3_account: pytest.MonkeyPatch, s3_server: str, bucket: str
) -> None:
    s3_account.delenv("AWS_ACCESS_KEY_ID")
    s3_account.delenv("AWS_SECRET_ACCESS_KEY")
    s3_account.setenv("AWS_METADATA_ENDPOINT", s3_server)
    assert len(read_events(f"{bucket}/clicks/week/*.parquet").frame) > 1000


def of_a_process_of_its_own(s3_account: pytest.MonkeyPatch, away: str) -> str:
    """What is said where nobody listens at the address in a variable.

    How often polars tries is read once by a process, and its usual tries take ten seconds.
    """
    s3_account.setenv("POLARS_CLOUD_MAX_RETRIES", "0")
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        s3_account.setenv(away, f"http://127.0.0.1:{taken.getsockname()[1]}")
        words = [sys.executable, "-m", "clusterseq", "inspect", "s3://bucket/clicks/0.parquet"]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    return done.stderr


def test_a_server_that_is_away_is_told(s3_account: pytest.MonkeyPatch) -> None:
    told = of_a_process_of_its_own(s3_account, "AWS_ENDPOINT_URL")
    assert "s3://bucket/clicks/0.parquet: nobody answers there; check the address" in told


def test_an_environment_that_says_nothing_is_told(s3_account: pytest.MonkeyPatch) -> None:
    s3_account.delenv("AWS_ACCESS_KEY_ID")
    s3_account.delenv("AWS_SECRET_ACCESS_KEY")
    told = of_a_process_of_its_own(s3_account, "AWS_METADATA_ENDPOINT")
    assert "no credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in told
