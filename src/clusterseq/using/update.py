"""An existing model and the events since: new items, new counts and a short training, in minutes.

The former events aren't needed. What the model has counted of them (graph, memory, popularity,
freshness, clusters' sizes) is recovered from it and added to, exactly but for what the memory's
bound had let go; its parameters are trained on from where they are.

Known items keep their raw ids, and nothing that was learnt of them is dropped.

Knows nothing about: terminals, files.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch
from jaxtyping import Int32

from clusterseq.checks import whole
from clusterseq.config import Runtime, TrainConfig
from clusterseq.data.dataset import Data, Dataset, dataset_of
from clusterseq.data.graph import SmoothingGraph
from clusterseq.data.ledger import Ledger
from clusterseq.data.memory import Sums
from clusterseq.data.sequences import Sequences
from clusterseq.data.split import Split
from clusterseq.errors import DataError
from clusterseq.judging.judge import judged_tasks
from clusterseq.learning.calibrate import calibrate, scalars
from clusterseq.learning.checkpoint import Checkpoint
from clusterseq.learning.clusters import measure_clusters, measure_lifts
from clusterseq.learning.pretrain import prefix_stage
from clusterseq.learning.stage import Place, run_stage
from clusterseq.learning.trainer import learners_and_judges, remember
from clusterseq.machine.progress import Progress, Silent, Watcher
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.growth import grown
from clusterseq.model.ranker import Ranker
from clusterseq.reading.titles import titles_of
from clusterseq.reading.vocab import Vocabulary
from clusterseq.using.comparison import BEFORE, CLUSTERSEQ, Comparison, compare
from clusterseq.using.evaluation import split_events
from clusterseq.using.former import Former
from clusterseq.using.new_events import new_batch
from clusterseq.using.titles import Titles, titles_frame

UPDATE = "update"
EPOCHS = 4
"""Passes over the new events."""
RATE = 1.0
"""Share of the training's learning rate: with less, new people are served worse."""


@dataclass(frozen=True, eq=False)
class Update:
    """A newer model, and what it is worth."""

    checkpoint: Checkpoint
    """Ready to be saved."""
    new_items: int
    """Items that the former model didn't know."""
    comparison: Comparison | None
    """The newer model beside the former one on new people; None if nobody was left to judge."""


def update_checkpoint(
    checkpoint: Checkpoint,
    events: Data,
    *,
    epochs: int = EPOCHS,
    rate: float = RATE,
    titles: Titles | None = None,
    k: int = 3,
    runtime: Runtime | None = None,
    watcher: Watcher | None = None,
    progress: Progress | None = None,
) -> Update:
    """Add events to a model: those after its training, of people old and new.

    They are split as the model's configuration says: known people teach, some of the new ones
    judge the training, and the rest compare the model before and after. Everybody counts as
    somebody never seen, as the model holds no user. Too few people for that all teach.

    Args:
        epochs: passes over the new events.
        rate: share of the configuration's learning rate.
        titles: a data frame with the columns item and title, for items that have none yet.
        k: items that each person of the comparison shows.

    Raises:
        DataError: the model was saved without what an update needs, or knows these events; or the
            titles can't be used.
        ConfigError: ``k`` is no whole number, or negative.
    """
    runtime, k = runtime or Runtime(), whole("k", k)
    named = None if titles is None else titles_frame(titles)
    if runtime.threads:
        torch.set_num_threads(runtime.threads)
    events = dataset_of(events)
    batch = new_batch(checkpoint, events)
    events = _since(checkpoint, events)
    split = _split(checkpoint, events, runtime.seed)
    indices = split.items.encode_series(checkpoint.items.series)
    train = dataclasses.replace(
        checkpoint.config.train,
        pretrain_epochs=epochs,
        learning_rate=rate * checkpoint.config.train.learning_rate,
    )
    model, ledger = _taught(checkpoint, split, indices, train, runtime.seed, watcher or Silent())
    comparison = None
    if split.kind != "none" and (split.test.lengths > k).any():
        before = Former(Ranker(checkpoint.model), indices, len(split.items))
        comparison = compare(
            {BEFORE: before, CLUSTERSEQ: Ranker(model)},
            split.test,
            split=split.kind,
            coverage=split.coverage,
            item_counts=ledger.counts,
            k=k,
            progress=progress,
        )
    newer = dataclasses.replace(
        _checkpoint(checkpoint, model, ledger, split, comparison, batch),
        titles=_titles(checkpoint, split.items, indices, named),
    )
    return Update(newer, len(split.items) - len(indices), comparison)


def _since(checkpoint: Checkpoint, events: Dataset) -> Dataset:
    """The events; where these or those before have no times, as newer ones in the same order."""
    if checkpoint.ledger is None or (events.timed and checkpoint.provenance.timed):
        return events
    order = events.sequences.times.argsort(kind="stable")
    times = np.empty_like(order)
    times[order] = checkpoint.ledger.newest + 1 + np.arange(len(order))
    return dataclasses.replace(events, sequences=dataclasses.replace(events.sequences, times=times))


def _split(checkpoint: Checkpoint, events: Data, seed: int) -> Split:
    """As the model's configuration says, if there are enough people; by a draw without times."""
    data, items = checkpoint.config.data, checkpoint.items
    if data.split == "temporal" and not events.timed:
        data = dataclasses.replace(data, split="random")
    try:
        return split_events(events, data, seed, items)
    except DataError as error:
        if str(error.code) != "split":
            raise
        return split_events(events, dataclasses.replace(data, split="none"), seed, items)


@dataclass(frozen=True)
class _Counted:
    """What is counted of everybody so far."""

    ledger: Ledger
    sums: Sums

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> _Counted:
        """What a model was made of."""
        ledger, memory = checkpoint.ledger, checkpoint.model.memory
        if ledger is None:
            raise DataError(
                "the model was saved by a version that kept too little for an update; train it "
                "once more on all events"
            )
        if memory is None:
            raise DataError(
                "the model has no neighbour memory, so what followed what can't be added to; "
                "train it once more on all events, perhaps with model.memory=true"
            )
        return cls(ledger, Sums.recovered(memory, ledger.counts, ledger.people))

    def moved(self, indices: Int32[np.ndarray, " items"], n_items: int) -> _Counted:
        """The same in a larger catalogue, where item ``i`` is called ``indices[i]``."""
        return _Counted(self.ledger.moved(indices, n_items), self.sums.moved(indices, n_items))

    def plus(self, people: Sequences) -> _Counted:
        """With some people's events beside."""
        n_items = len(self.ledger.counts)
        return _Counted(self.ledger.plus(people), self.sums.plus(Sums.of(people, n_items)))


def _taught(
    checkpoint: Checkpoint,
    split: Split,
    indices: Int32[np.ndarray, " items"],
    train: TrainConfig,
    seed: int,
    watcher: Watcher,
) -> tuple[ClusterSeq, Ledger]:
    """The grown model after its training, and the counts of everybody it remembers."""
    draws = np.random.default_rng([seed, *b"users"])
    users, judges = learners_and_judges(split.known, split.validation, draws)
    learners = split.known.select(users)
    former = _Counted.of(checkpoint).moved(indices, len(split.items))
    counted = former.plus(learners)
    sums, ledger = counted.sums, counted.ledger
    model = grown(checkpoint.model, indices, len(split.items), sums.transitions, ledger.counts)
    graph = remember(model, sums, ledger)
    _teach(model, learners, judges, graph, train, seed, watcher)
    if len(learners) < len(split.known):  # those who judged may be remembered now
        counted = former.plus(split.known)
        remember(model, counted.sums, counted.ledger)
    _measure(model, split.known, checkpoint, indices)
    return model, counted.ledger


def _teach(
    model: ClusterSeq,
    learners: Sequences,
    judges: Sequences,
    graph: SmoothingGraph | None,
    config: TrainConfig,
    seed: int,
    watcher: Watcher,
) -> None:
    """Train on where the parameters are, and keep them if new people aren't served better."""
    tasks = judged_tasks(judges, np.random.default_rng([seed, *b"update"]))
    former = [value.detach().clone() for value in scalars(model)]  # few people mustn't move far
    validate = (lambda: -calibrate(model, tasks, former)) if len(tasks) else None
    stage = prefix_stage(UPDATE, model, learners, config, validate, graph=graph)
    run_stage(stage, model, Place(UPDATE), seed=seed, watcher=watcher, checkpoint=lambda: None)


@torch.no_grad()
def _measure(
    model: ClusterSeq,
    known: Sequences,
    checkpoint: Checkpoint,
    indices: Int32[np.ndarray, " items"],
) -> None:
    """What each cluster touches, of all people: the new ones' measure beside the former."""
    former, before = checkpoint.model, checkpoint.provenance.events
    measure_clusters(model, known)
    masses = [
        (version.cluster_popularity * version.cluster_sizes[:, None] * events)
        for version, events in ((former, before), (model, len(known.items)))
    ]
    total = masses[1].clone()
    total[:, torch.from_numpy(indices.astype(np.int64))] += masses[0]
    sums = total.sum(dim=1).clamp_min(1e-9)
    model.cluster_popularity.copy_(total / sums[:, None])
    model.cluster_sizes.copy_(sums / sums.sum())
    measure_lifts(model, before + len(known.items))


def _checkpoint(
    former: Checkpoint,
    model: ClusterSeq,
    ledger: Ledger,
    split: Split,
    comparison: Comparison | None,
    batch: str,
) -> Checkpoint:
    origin = former.provenance
    provenance = dataclasses.replace(
        origin,
        coverage=split.coverage,
        known_users=origin.known_users + len(split.known),
        events=origin.events + len(split.known.items),
        updated_by=(*origin.updated_by, batch),
    )
    metrics = {} if comparison is None else comparison.metrics()
    return Checkpoint(
        model=model,
        config=dataclasses.replace(former.config, model=model.config),
        items=split.items,
        item_counts=ledger.counts,
        provenance=provenance,
        ledger=ledger,
        metrics=metrics,
    )


def _titles(
    former: Checkpoint,
    items: Vocabulary,
    indices: Int32[np.ndarray, " items"],
    titles: pl.DataFrame | None,
) -> list[str | None] | None:
    """What items are called: as before, and else as the table says."""
    if former.titles is None and titles is None:
        return None
    merged: list[str | None] = [None] * len(items)
    if titles is not None:
        merged = titles_of(titles, items)
    for index, title in zip(indices.tolist(), former.titles or (), strict=False):
        merged[index] = title if title is not None else merged[index]
    return merged
