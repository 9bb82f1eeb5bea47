"""One training of the bench: tune a model on one split, judge it at one or more K, and time it.

Knows nothing about: files of events, other models, processes.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from clusterseq.baselines.peer import Peer, Tuned, tune
from clusterseq.bench.cost import learnt_parameters, newcomer_ms, peak_mb
from clusterseq.bench.results import DONE, FAILED, INAPPLICABLE, Cell, Row
from clusterseq.bench.split_arrays import SplitArrays
from clusterseq.judging.evaluate import RANKINGS, Evaluation, evaluate
from clusterseq.judging.metrics import metrics_of_ranks
from clusterseq.judging.scorer import Scorer
from clusterseq.machine.accelerator import device_named


@dataclass(frozen=True)
class Job:
    """What one process computes: a model, a split, and the K that it is judged at."""

    cells: tuple[Cell, ...]
    """One for each K; they differ in nothing else."""
    group: str
    """The model's kind, for tables."""
    split_file: str
    """Where the split's arrays are."""
    out: str
    """The directory of results."""
    config: Mapping[str, Any] | None = None
    """The configuration, if the model is one of ours."""
    threads: int = 0
    """Threads of the tensor library; 0 leaves the choice to it."""
    device: str = "cpu"
    """Where networks are trained and score."""

    @property
    def first(self) -> Cell:
        """Any of the cells, for what they have in common."""
        return self.cells[0]

    def to_json(self) -> str:
        """All of it in one line."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        """What ``to_json`` gave."""
        values = json.loads(text)
        return cls(**{**values, "cells": tuple(Cell(**cell) for cell in values["cells"])})


def compute(
    job: Job, peer: Peer, split: SplitArrays
) -> Iterator[tuple[Cell, Row, pl.DataFrame | None]]:
    """Train once; for each K give the row, and the ranks if it could be judged.

    Raises:
        ClusterSeqError: the peer can't be fitted, or its scores can't be ranked.
    """
    start_mb = peak_mb()
    tuned = tune(peer, split.setting(job.first.seed, device_named(job.device)))
    scorer = tuned.scorer
    facts = {
        "group": job.group,
        "threads": job.threads,
        "device": job.device,
        "start_mb": start_mb,
        "items": split.n_items,
        "known": len(split.known),
        "coverage": split.coverage,
        "parameters": learnt_parameters(scorer),
        **_of_training(tuned),
    }
    for cell in job.cells:
        if cell.k == 0 and scorer.needs_history:
            facts["error"] = "needs a history, and K = 0 gives it none"
            yield cell, {**facts, "status": INAPPLICABLE, "finished": now()}, None
            continue
        judged, ranks = _judge(scorer, split, cell.k)
        ends = {"status": DONE, "error": None, "peak_mb": peak_mb(), "finished": now()}
        yield cell, {**facts, **judged, **ends}, ranks


def failed_row(job: Job, error: str) -> Row:
    """The row of a cell that came to nothing."""
    facts = {"group": job.group, "threads": job.threads, "device": job.device}
    return {**facts, "status": FAILED, "error": error, "finished": now()}


def now() -> str:
    """The time as rows tell it, so that later is greater."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def ranks_frame(evaluation: Evaluation, users: np.ndarray) -> pl.DataFrame:
    """A line per person: who in the data set, both ranks, and minor, major or neither."""
    group = np.full(len(evaluation.users), None, dtype=object)
    for name, members in evaluation.groups.items():
        group[members] = name
    return pl.DataFrame(
        {
            "user": users[evaluation.users],
            "full_rank": evaluation.full_ranks,
            "sampled_rank": evaluation.sampled_ranks,
            "group": pl.Series(group.tolist(), dtype=pl.String),
        }
    )


def _of_training(tuned: Tuned) -> dict[str, Any]:
    # The very options: values of a grid need not tell if they equal.
    reached = next(mrr for options, mrr in tuned.trials if options is tuned.options)
    return {
        "options": json.dumps(dict(tuned.options), default=repr),
        "trials": json.dumps([[dict(options), mrr] for options, mrr in tuned.trials], default=repr),
        "validation_mrr": reached,
        "train_s": tuned.train_s,
        "tuning_s": tuned.tuning_s,
    }


def _judge(scorer: Scorer, split: SplitArrays, k: int) -> tuple[dict[str, Any], pl.DataFrame]:
    counts = split.known.counts(split.n_items)
    evaluation = evaluate(scorer, split.test, item_counts=counts, k=k)
    figures = {
        f"{ranking}_{metric}": value
        for ranking in RANKINGS
        for metric, value in metrics_of_ranks(getattr(evaluation, f"{ranking}_ranks")).items()
    }
    milliseconds, timed = newcomer_ms(scorer, split.test, k)
    times = {"newcomer_ms": milliseconds, "newcomers_timed": timed}
    return {**figures, **times, "users": len(evaluation.users)}, ranks_frame(
        evaluation, split.test_users
    )
