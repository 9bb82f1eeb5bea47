"""From events to a saved, judged model.

Knows nothing about: terminals, formats of files, how models learn.
"""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from clusterseq.checks import whole
from clusterseq.config import Config, Runtime
from clusterseq.data.dataset import Data
from clusterseq.data.ledger import Ledger
from clusterseq.data.sequences import Sequences
from clusterseq.data.split import Split
from clusterseq.errors import CheckpointError
from clusterseq.judging.evaluate import people_to_judge
from clusterseq.learning.checkpoint import (
    LOG,
    Checkpoint,
    require_place,
    save_checkpoint,
)
from clusterseq.learning.footprint import require_room
from clusterseq.learning.provenance import Provenance
from clusterseq.learning.teacher import teachers_config
from clusterseq.learning.train import can_go_on, fit
from clusterseq.learning.training_log import CompositeWatcher, TrainingLog
from clusterseq.machine.progress import Progress, Silent, Watcher
from clusterseq.machine.unfinished import LOCK, abandoned, exclusive_lock, unfinished_at
from clusterseq.machine.workers import is_main_process, world_size
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.reading.titles import titles_of
from clusterseq.using.comparison import Comparison, nearest_clusters
from clusterseq.using.evaluation import judged, split_events
from clusterseq.using.titles import Titles, titles_frame


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
    """Seed, threads, device, and whether processes share out the item table."""
    titles: Titles | None = None
    """A data frame with the columns item and title, if items have names."""
    k: int = 3
    """Support items of the evaluation."""

    @cached_property
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
            ClusterSeqError: the events, the titles or ``k`` don't allow it, or the place is taken
                by something else.
            KeyboardInterrupt: stopped by Ctrl-C; ``resume=True`` goes on.
        """
        split = self._prepared(resume=resume)
        if not is_main_process():  # of several processes that train it, one writes
            return self._checkpoint(self._fit(split, None, resume=resume), split), None
        with exclusive_lock(self.unfinished):
            log = self._log(resume=resume)
            watchers = CompositeWatcher(TrainingLog(log), watcher or Silent())
            checkpoint = self._checkpoint(self._fit(split, watchers, resume=resume), split)
            comparison = None
            if split.kind != "none":
                model, test = checkpoint.model, split.test
                comparison = judged(model, split, test, self.k, progress)
                metrics = {**checkpoint.metrics, **comparison.metrics()}
                checkpoint = dataclasses.replace(checkpoint, metrics=metrics)
            save_checkpoint(self.out, checkpoint, log=log)
            shutil.rmtree(self.unfinished, ignore_errors=True)
        return checkpoint, comparison

    def _fit(self, split: Split, watcher: Watcher | None, *, resume: bool) -> ClusterSeq:
        return fit(
            split.known,
            split.validation,
            self.config,
            n_items=len(split.items),
            runtime=self.runtime,
            watcher=watcher,
            resume_at=self.unfinished,
            resume=resume,
        )

    def _prepared(self, *, resume: bool) -> Split:
        """The split, once nothing is left that would spoil the minutes of training to come."""
        require_place(self.out)
        k, _ = whole("k", self.k), self._titles
        if resume and not can_go_on(self.unfinished):
            message = f"{self.unfinished}: nothing to resume; train without --resume"
            raise CheckpointError(message, code="resume")
        split = split_events(self.events, self.config.data, self.runtime.seed)
        if self.runtime.device == "cpu":
            shares = world_size() if self.runtime.shard_items else 1
            n_items, events = len(split.items), len(split.known.items)
            for config in (self.config, *self._teachers()):
                require_room(config.model, n_items, events, shares=shares)
        if split.kind != "none":
            people_to_judge(split.test, k)
        return split

    @cached_property
    def _titles(self) -> pl.DataFrame | None:
        return None if self.titles is None else titles_frame(self.titles)

    def _teachers(self) -> list[Config]:
        return [teachers_config(self.config)] if self.config.train.taught else []

    def _log(self, *, resume: bool) -> Path:
        for entry in () if resume else self.unfinished.iterdir():
            if entry.name != LOCK:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
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
            timed=self.events.timed,
        )
        return Checkpoint(
            model=model,
            config=dataclasses.replace(self.config, model=model.config),
            items=split.items,
            item_counts=split.known.counts(len(split.items)),
            provenance=provenance,
            titles=None if self._titles is None else titles_of(self._titles, split.items),
            ledger=Ledger.of(split.known, len(split.items)),
            metrics={"cluster_sizes": _cluster_sizes(model, split.known)},
        )


def can_resume(out: str | Path) -> bool:
    """Whether a training that was to end in ``out`` was stopped and has left its state."""
    directory = unfinished_at(out)
    return can_go_on(directory) and abandoned(directory)


def _cluster_sizes(model: ClusterSeq, known: Sequences) -> list[int] | None:
    """How many known people belong most to each cluster."""
    if not model.config.clustering:
        return None
    nearest = nearest_clusters(model, known, slice(-model.config.max_steps, None))
    return [int(size) for size in np.bincount(nearest, minlength=model.config.clusters)]
