"""A whole bench through the command line: resumed, extended, killed, and with peers that fail."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import polars as pl
import pytest

from clusterseq import cli
from clusterseq.baselines.peers import PEERS
from clusterseq.bench.results import SCHEMA, TABLE

SOURCE = Path(__file__).parents[2] / "src"
FAST = "popularity,session-knn"
INJECTED = """
import os, signal, time
from pathlib import Path
from clusterseq.baselines.peer import Peer
from clusterseq.baselines.peers import PEERS

MISCHIEF = Path({mischief!r})

def fit(setting):
    if MISCHIEF.exists():
        kind = MISCHIEF.read_text()
        if kind == "wait":
            MISCHIEF.with_suffix(".pid").write_text(str(os.getpid()))
            time.sleep(600)
        if kind == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        raise ValueError("told to fail")
    return PEERS["popularity"].fit(setting)

PEERS["injected"] = Peer("injected", "A peer that does as it is told.", fit)
"""
"""Python reads it before anything else, in every process that has its folder on the path."""


def bench(*words: object) -> int:
    return cli.main(["bench", *map(str, words)])


def table(out: Path) -> pl.DataFrame:
    return pl.read_parquet(out / TABLE)


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 300
    while not holds():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.05)


@pytest.fixture
def mischief(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that tells the peer "injected" what to do; without it, it is a good one."""
    place = tmp_path / "injected"
    place.mkdir()
    told = place / "mischief.txt"
    (place / "sitecustomize.py").write_text(INJECTED.format(mischief=str(told)))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(place), str(SOURCE)]))
    # The command itself only needs its name; the processes have the peer that does something.
    monkeypatch.setitem(
        PEERS, "injected", dataclasses.replace(PEERS["popularity"], name="injected")
    )
    return told


@pytest.fixture(scope="module")
def finished(
    events_file: Path, small_options: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Two peers under two seeds, then ours under one, with two K, added to the same directory."""
    out = tmp_path_factory.mktemp("finished") / "out"
    assert bench(events_file, "--models", FAST, "--seeds", "0,1", "--out", out) == 0
    first = {path.name: path.read_bytes() for path in (out / "rows").iterdir()}
    assert len(first) == 4
    words = ["--models", "popularity,clusterseq", "--seeds", 0, "-k", "1,3", *small_options]
    assert bench(events_file, *words, "--out", out, "--threads", 1) == 0
    kept = {name: (out / "rows" / name).read_bytes() for name in first}
    assert kept == first, "what was finished is not touched"
    return out


def test_the_table_has_a_row_for_everything_ever_computed(finished: Path) -> None:
    frame = table(finished)
    assert frame.schema == pl.Schema(SCHEMA)
    found = frame.select("model", "seed", "k").sort("model", "seed", "k").rows()
    assert found == [
        *[("clusterseq", 0, 1), ("clusterseq", 0, 3)],
        *[("popularity", 0, 1), ("popularity", 0, 3), ("popularity", 1, 3)],
        *[("session-knn", 0, 3), ("session-knn", 1, 3)],
    ]
    assert set(frame["status"]) == {"done"}
    for name in ("train_s", "tuning_s", "newcomer_ms", "peak_mb", "full_mrr", "validation_mrr"):
        assert (frame[name] > 0).all()
    assert (frame["tuning_s"] >= frame["train_s"]).all()
    assert (frame["newcomers_timed"] >= 50).all()
    learnt = frame.filter(pl.col("parameters") > 1000)["model"]
    assert set(learnt) == {"clusterseq"}


def test_models_of_one_seed_are_judged_on_the_same_people(finished: Path) -> None:
    ranks = [pl.read_parquet(path) for path in sorted((finished / "ranks").glob("*seed0-k3*"))]
    assert len(ranks) == 3
    for one in ranks:
        assert one["user"].to_list() == ranks[0]["user"].to_list()
        assert one["group"].to_list() == ranks[0]["group"].to_list()
        assert set(one["group"]) == {"minor", "major", None}


def test_the_files_are_what_their_endings_say(finished: Path) -> None:
    summary = json.loads((finished / "summary.json").read_text())
    assert [(board["k"], len(board["entries"])) for board in summary["results"]] == [(1, 2), (3, 3)]
    entry = next(e for e in summary["results"][1]["entries"] if e["model"] == "popularity")
    assert entry["seeds"] == [0, 1]
    assert entry["test"]["p_value"] <= 1
    lines = list(csv.DictReader((finished / "summary.csv").read_text().splitlines()))
    assert len(lines) == 5
    assert float(lines[2]["full_mrr_low"]) < float(lines[2]["full_mrr"])
    text = (finished / "summary.md").read_text()
    assert text.count("| popularity |") == 4
    for chart in ("accuracy-time", "k-curve"):
        root = ElementTree.parse(finished / f"{chart}.svg").getroot()
        assert "session-knn" in "".join(root.itertext())
        assert (finished / f"{chart}.png").read_bytes().startswith(b"\x89PNG")


def test_a_finished_bench_has_nothing_left_to_do(
    finished: Path, events_file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (finished / "splits").rename(finished / "away")  # whoever reads events or trains will need them
    assert bench(events_file, "--models", FAST, "--seeds", "0,1", "--out", finished, "--json") == 0
    (finished / "away").rename(finished / "splits")
    out, err = capfd.readouterr()
    assert "4 of 4 are done already" in err
    assert len(json.loads(out)["results"]) == 2


def test_other_options_are_done_anew_and_the_former_are_kept(
    finished: Path, events_file: Path, small_options: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["--models", "clusterseq", "--seeds", 0, "--out", finished, *small_options]
    before = len(list((finished / "rows").iterdir()))
    assert bench(events_file, *words, "--set", "model.dim=8") == 0
    assert "clusterseq on events (temporal): its options have changed" in capfd.readouterr().err
    assert len(table(finished).filter(model="clusterseq")) == 1
    assert len(list((finished / "rows").iterdir())) == before + 1
    words += ["-k", "1,3"]
    assert bench(events_file, *words) == 0, "the former options are still there"
    assert "1 of 1 are done already" in capfd.readouterr().err


def test_a_failing_peer_is_a_row_and_is_tried_again(
    events_file: Path, mischief: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = [events_file, "--models", "injected,popularity", "--seeds", 0, "--out", out]
    for told, error in {"die": "killed by SIGKILL", "fail": "ValueError: told to fail"}.items():
        mischief.write_text(told)
        assert bench(*words) == 1
        err = capfd.readouterr().err
        assert error in err
        assert "1 results failed; the same command tries them again" in err
        rows = {row["model"]: row for row in table(out).rows(named=True)}
        assert rows["popularity"]["status"] == "done"
        assert rows["injected"]["status"] == "failed"
        assert error in rows["injected"]["error"]
        assert error in (out / "summary.md").read_text()
    assert "Traceback" in next((out / "errors").iterdir()).read_text()
    mischief.unlink()
    assert bench(*words) == 0
    assert set(table(out)["status"]) == {"done"}
    assert not list((out / "errors").iterdir())


@pytest.fixture
def running(
    events_file: Path, mischief: Path, tmp_path: Path
) -> Iterator[tuple[list[str], subprocess.Popen[bytes], int]]:
    """A bench that has finished one peer and is busy with the next one for ten minutes."""
    mischief.write_text("wait")
    words = [str(events_file), "--models", "popularity,injected", "--seeds", "0"]
    words += ["--out", str(tmp_path / "out")]
    command = [sys.executable, "-m", "clusterseq", "bench", *words]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, preexec_fn=hears_ctrl_c)
    pid = mischief.with_suffix(".pid")
    until(lambda: process.poll() is not None or (pid.exists() and pid.read_text() != ""))
    assert process.poll() is None, "it ended before it was stopped"
    yield words, process, int(pid.read_text())
    process.kill()
    process.wait()


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_bench_loses_only_what_was_running(
    running: tuple[list[str], subprocess.Popen[bytes], int],
    mischief: Path,
    tmp_path: Path,
    blow: signal.Signals,
) -> None:
    words, process, worker = running
    process.send_signal(blow)
    assert process.wait() == (-9 if blow == signal.SIGKILL else 130)
    until(lambda: not alive(worker))
    before = table(tmp_path / "out")
    assert before["model"].to_list() == ["popularity"]
    mischief.unlink()
    assert bench(*words) == 0
    after = table(tmp_path / "out")
    assert after["model"].to_list() == ["injected", "popularity"]
    assert after.filter(model="popularity").equals(before), "it was not computed again"
    ranks: list[Any] = [pl.read_parquet(one) for one in (tmp_path / "out" / "ranks").iterdir()]
    assert ranks[0].equals(ranks[1]), "the injected peer is popularity"


def hears_ctrl_c() -> None:
    """Who is started in the background ignores it, and so would all that they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
