"""From events to a saved, judged model, and from a saved model back to a judgement.

Knows nothing about: terminals, formats of files, how models learn.
"""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import polars as pl
import torch

from clusterseq.baselines import Popularity
from clusterseq.config import Config, DataConfig, Runtime
from clusterseq.data.dataset import Data, dataset_of
from clusterseq.data.histories import Histories
from clusterseq.data.ledger import Ledger
from clusterseq.data.sequences import Sequences
from clusterseq.data.split import Split, all_new, split_users
from clusterseq.errors import CheckpointError, DataError
from clusterseq.judging.evaluate import Progress
from clusterseq.judging.scorer import Scorer
from clusterseq.learning.checkpoint import (
    LOG,
    Checkpoint,
    Provenance,
    is_checkpoint,
    save_checkpoint,
)
from clusterseq.learning.train import fit
from clusterseq.learning.training_log import Together, TrainingLog
from clusterseq.machine import room
from clusterseq.machine.directory import present
from clusterseq.machine.progress import Silent, Watcher
from clusterseq.machine.workers import expected, speaks
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.ranker import Ranker
from clusterseq.reading.titles import titles_of
from clusterseq.using.comparison import CLUSTERSEQ, Comparison, compare, simple_models

Part: TypeAlias = Literal["test", "validation"]
ALL_NEW = "all-new"


@dataclass(frozen=True, eq=False)
class Experiment:
    """A training that ends in a checkpoint: what to train, on what, and where to save it."""

    events: Data
    """What ``read_events`` gave, or a data set."""
    out: str | Path
    """The checkpoint's directory."""
    config: Config = field(default_factory=Config)
    """Options of data, model and training."""
    runtime: Runtime = field(default_factory=Runtime)
    """Seed and threads."""
    titles: pl.DataFrame | None = None
    """The columns item and title, if items have names."""
    k: int = 3
    """Support items of the evaluation."""

    @property
    def unfinished(self) -> Path:
        """Where the state and the log of the training lie until it is finished."""
        return unfinished_at(self.out)

    @property
    def can_resume(self) -> bool:
        """Whether a training that was stopped has left its state there."""
        return can_resume(self.out)

    def run(
        self,
        *,
        resume: bool = False,
        watcher: Watcher | None = None,
        progress: Progress | None = None,
    ) -> tuple[Checkpoint, Comparison | None]:
        """Train, judge on the test users beside the baselines, save; without a split, don't judge.

        Raises:
            ClusterSeqError: the events don't allow it, or the place is taken by something else.
            KeyboardInterrupt: stopped by Ctrl-C; ``resume=True`` goes on.
        """
        split = self._prepared()
        log = self._log(resume=resume)
        model = fit(
            split.known,
            split.validation,
            self.config,
            n_items=len(split.items),
            runtime=self.runtime,
            watcher=Together(TrainingLog(log), watcher or Silent()) if speaks() else None,
            resume_at=self.unfinished,
            resume=resume,
        )
        checkpoint = self._checkpoint(model, split)
        if not speaks():  # of several processes that trained it, one judges and saves
            return checkpoint, None
        comparison = None
        if split.kind != "none":
            comparison = _judged(model, split, split.test, self.k, progress)
            metrics = {"test": comparison.to_dict(), "baselines": comparison.baselines()}
            checkpoint = dataclasses.replace(checkpoint, metrics={**checkpoint.metrics, **metrics})
        save_checkpoint(self.out, checkpoint, log=log)
        shutil.rmtree(self.unfinished)
        return checkpoint, comparison

    def _prepared(self) -> Split:
        """The split, once nothing is left that would spoil the minutes of training to come."""
        out = Path(self.out)
        free = not out.exists() or is_checkpoint(out) or (out.is_dir() and not any(out.iterdir()))
        if not free:
            told = f"{self.out}: holds no model, so it isn't replaced; name another place"
            raise DataError(told, code="output")
        split = split_events(self.events, self.config.data, self.runtime.seed)
        if self.runtime.device == "cpu":
            shares = expected() if self.runtime.shard_items else 1
            n_items, events = len(split.items), len(split.known.items)
            room.require(self.config.model, n_items, events, shares=shares)
        if split.kind != "none":
            _check_lengths(split.test, self.k)
        return split

    def _log(self, *, resume: bool) -> Path:
        if resume and not self.can_resume:
            told = f"{self.unfinished}: nothing to resume; train without --resume"
            raise CheckpointError(told, code="resume")
        if not resume and speaks() and self.unfinished.exists():
            shutil.rmtree(self.unfinished)
        try:
            self.unfinished.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            told = f"{self.unfinished}: {error.strerror}; name another place"
            raise DataError(told, code="output") from error
        return self.unfinished / LOG

    def _checkpoint(self, model: ClusterSeq, split: Split) -> Checkpoint:
        provenance = Provenance(
            split=split.kind,
            seed=split.seed,
            cutoff=split.cutoff,
            fingerprint=split.fingerprint,
            coverage=split.coverage,
            known_users=len(split.known),
            events=len(split.known.items),
        )
        return Checkpoint(
            model=model,
            config=dataclasses.replace(self.config, model=model.config),
            items=split.items,
            item_counts=_counts(split),
            provenance=provenance,
            titles=None if self.titles is None else titles_of(self.titles, split.items),
            ledger=Ledger.of(split.known, len(split.items)),
            metrics={"cluster_sizes": _cluster_sizes(model, split.known)},
        )


def unfinished_at(out: str | Path) -> Path:
    """Where a training that is to end in ``out`` keeps its state and its log."""
    return Path(out).with_name(Path(out).name + ".training")


def can_resume(out: str | Path) -> bool:
    """Whether a training that was to end in ``out`` was stopped and has left its state."""
    return present(unfinished_at(out) / "state").exists()


def evaluate_checkpoint(
    checkpoint: Checkpoint,
    events: Data,
    *,
    k: int = 3,
    part: Part = "test",
    everyone_is_new: bool = False,
    baselines: bool = True,
    progress: Progress | None = None,
) -> Comparison:
    """Judge a model on the new users of the split that it was trained under.

    With ``everyone_is_new`` all people of the events count; then popularity is the one baseline,
    since neighbours would need the training data.

    Raises:
        DataError: the events are not those it was trained on, or nobody has more than ``k``.
    """
    if everyone_is_new:
        return _judged_on_strangers(checkpoint, events, k, baselines, progress)
    split = split_of_training(checkpoint, events)
    people = split.test if part == "test" else split.validation
    return _judged(checkpoint.model, split, people, k, progress, baselines=baselines)


def split_of_training(checkpoint: Checkpoint, events: Data) -> Split:
    """The split that a model was trained under, from the same events.

    Raises:
        DataError: they aren't the same events, or nobody was left out of the training.
    """
    origin = checkpoint.provenance
    split = split_events(events, checkpoint.config.data, origin.seed)
    if split.fingerprint != origin.fingerprint:
        raise DataError(
            "the events' known users aren't those that the model was trained on; give the file it "
            "was trained on, or --all-new if everyone in this one is new to it",
            code="split",
        )
    if split.kind == "none":
        raise DataError(
            "the model was trained on everyone in these events, so nobody is left to judge it; "
            "give other people's events and --all-new",
            code="split",
        )
    return split


def split_events(events: Data, config: DataConfig, seed: int) -> Split:
    """Filter events and split their users, as a configuration says.

    Raises:
        DataError: nothing is left, or there are too few users for the split.
    """
    dataset = dataset_of(events).filtered(
        k_core=config.k_core,
        min_user_events=config.min_user_events,
        min_item_events=config.min_item_events,
    )
    return split_users(
        dataset,
        config.split,
        seed=seed,
        new_share=config.new_share,
        validation_share=config.validation_share,
    )


def _judged(
    model: ClusterSeq,
    split: Split,
    people: Sequences,
    k: int,
    progress: Progress | None,
    *,
    baselines: bool = True,
) -> Comparison:
    others = simple_models(split.known, len(split.items)) if baselines else {}
    return compare(
        {**others, CLUSTERSEQ: Ranker(model)},
        people,
        split=split.kind,
        coverage=split.coverage,
        item_counts=_counts(split),
        k=k,
        progress=progress,
    )


def _judged_on_strangers(
    checkpoint: Checkpoint, events: Data, k: int, baselines: bool, progress: Progress | None
) -> Comparison:
    people, coverage = all_new(dataset_of(events), checkpoint.items)
    counts = checkpoint.item_counts
    popularity = Popularity(torch.from_numpy(counts.astype(np.float64)))
    others: dict[str, Scorer] = {"popularity": popularity} if baselines else {}
    return compare(
        {**others, CLUSTERSEQ: Ranker(checkpoint.model)},
        people,
        split=ALL_NEW,
        coverage=coverage,
        item_counts=counts,
        k=k,
        progress=progress,
    )


def _check_lengths(people: Sequences, k: int) -> None:
    if not (people.lengths > k).any():
        told = f"none of {len(people)} test users has more than k = {k} events; lower k"
        raise DataError(told, code="split")


def _counts(split: Split) -> np.ndarray:
    return np.bincount(split.known.items, minlength=len(split.items))


def _cluster_sizes(model: ClusterSeq, known: Sequences) -> list[int] | None:
    """How many known people belong most to each cluster."""
    if not model.config.clustering:
        return None
    sizes = np.zeros(model.config.clusters, dtype=np.int64)
    steps = model.config.max_steps
    for start in range(0, len(known), 1024):
        people = range(start, min(start + 1024, len(known)))
        shares = model.assign(Histories.from_lists(known[person][-steps:] for person in people))
        sizes += np.bincount(shares.argmax(dim=1).numpy(force=True), minlength=len(sizes))
    return sizes.tolist()
