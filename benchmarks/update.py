"""What an update is worth: ``python -m benchmarks.update DATA[:SPLIT] …``.

A model is trained on the older 70 % of a data set's events and updated with the rest; new people of
the rest tell how well each serves them. Prints the rows of the table in docs/training.md.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import polars as pl
import torch

from clusterseq.config import Config, Runtime
from clusterseq.learning.checkpoint import load_checkpoint
from clusterseq.reading.events import read_events
from clusterseq.using.comparison import BEFORE, CLUSTERSEQ
from clusterseq.using.experiment import Experiment
from clusterseq.using.update import update_checkpoint
from clusterseq.values import from_dict

OLDER = 0.7


def main() -> None:
    """Measure each data set and print its row."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", nargs="+", metavar="DATA[:SPLIT]")
    for word in parser.parse_args().data:
        path, _, split = word.partition(":")
        print(_row(Path(path), split or "temporal"), flush=True)


def _row(path: Path, split: str) -> str:
    events = read_events(path).frame
    since = events["time"].quantile(OLDER)
    older, newer = (read_events(events.filter(part)) for part in _parts(since))
    config, runtime = from_dict(Config, {"data": {"split": split}}), Runtime(0, 1)
    with tempfile.TemporaryDirectory() as folder:
        Experiment(older, Path(folder) / "model", config, runtime).run()
        checkpoint = load_checkpoint(Path(folder) / "model")
    begun = time.perf_counter()
    found = update_checkpoint(checkpoint, newer, runtime=runtime)
    took = time.perf_counter() - begun
    assert found.comparison is not None, "new people are left to judge"
    told = found.comparison.figures
    before, after = (
        f"{told[name]['full']['mrr']:.4f} / {told[name]['sampled']['mrr']:.3f}"
        for name in (BEFORE, CLUSTERSEQ)
    )
    people, p = told[CLUSTERSEQ]["users"], found.comparison.against(BEFORE).p_value
    return f"| {path.stem} ({split}) | {people:,} | {before} | {after} (p {p:.2g}) | {took:.0f} |"


def _parts(since: float | None) -> tuple[pl.Expr, pl.Expr]:
    later = pl.col("time") >= since
    return ~later, later


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
