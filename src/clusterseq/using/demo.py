"""The bundled film ratings: an experiment on them, and three of its newcomers to show.

Knows nothing about: terminals, how models learn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import polars as pl

from clusterseq.config import Config, Runtime
from clusterseq.judging.evaluate import GROUPS
from clusterseq.learning.checkpoint import Checkpoint
from clusterseq.reading.events import read_events
from clusterseq.using.comparison import Comparison
from clusterseq.using.evaluation import split_events
from clusterseq.using.experiment import Experiment
from clusterseq.using.recommendations import Recommendations
from clusterseq.using.recommender import Recommender

NAME = "movietweetings"
RECOMMENDED = 10


@dataclass(frozen=True)
class Newcomer:
    """Somebody whom the model has never seen."""

    group: str
    """Whether they like what many like: minor, in between or major."""
    touched: list[str]
    """Titles of the first films they rated."""
    following: str
    """Title of the one they rated next, which the model isn't shown."""
    recommended: Recommendations
    """What the model recommends."""


def experiment(
    out: Path, config: Config | None = None, runtime: Runtime | None = None
) -> Experiment:
    """A training on the bundled MovieTweetings (Dooms et al. 2013, MIT licence)."""
    events = read_events(_table(f"{NAME}.parquet"))
    titles = _table(f"{NAME}_items.parquet").select("item", "title")
    return Experiment(events, out, config or Config(), runtime or Runtime(), titles)


def newcomers(
    trial: Experiment, checkpoint: Checkpoint, comparison: Comparison
) -> Iterator[Newcomer]:
    """The first test user of the minor group, of neither and of the major group."""
    recommender = Recommender(checkpoint)
    people = split_events(trial.events, trial.config.data, trial.runtime.seed).test
    evaluation = comparison.own
    positions = {name: evaluation.groups[name].tolist() for name in GROUPS}
    grouped = {position for members in positions.values() for position in members}
    between = [position for position in range(len(evaluation.users)) if position not in grouped]
    for group, members in (
        ("minor", positions["minor"]),
        ("in between", between),
        ("major", positions["major"]),
    ):
        for position in members[:1]:
            codes = people[int(evaluation.users[position])][: evaluation.k + 1]
            titles = [checkpoint.label(int(code)) for code in codes]
            recommended = recommender.recommend(checkpoint.items.decode(codes[:-1]), RECOMMENDED)
            yield Newcomer(group, titles[:-1], titles[-1], recommended)


def _table(name: str) -> pl.DataFrame:
    with as_file(files("clusterseq").joinpath("data", name)) as path:
        return pl.read_parquet(path)
