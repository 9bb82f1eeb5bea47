"""Training from known users to a finished model: pre-train, calibrate, meta-train.

A model that learns from a teacher begins with the training of that one, which keeps a state of its
own beside the other.

Knows nothing about: raw ids, files of events, test users, terminals, what a stage learns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from clusterseq.config import Config, Runtime
from clusterseq.data.sequences import Sequences
from clusterseq.learning.pretrain import require_shardable
from clusterseq.learning.resume import StateSaver, kept
from clusterseq.learning.stage import Place, run_stage
from clusterseq.learning.teacher import Teacher, teachers_config
from clusterseq.learning.trainer import META, PRETRAIN, Trainer
from clusterseq.machine.accelerator import device_named
from clusterseq.machine.progress import Renamed, Silent, Watcher
from clusterseq.machine.workers import Workers, process_group
from clusterseq.model.clusterseq import ClusterSeq

TEACHER = "teacher"
"""What the teacher's training is called where it is told of, and where its state is kept."""


def fit(
    known: Sequences,
    validation: Sequences,
    config: Config,
    *,
    n_items: int,
    runtime: Runtime | None = None,
    watcher: Watcher | None = None,
    resume_at: Path | None = None,
    resume: bool = False,
) -> ClusterSeq:
    """Train a model on known users, judged by the new users of the validation part.

    Where that part is empty, a tenth of the known users takes its place; in the end their events
    enter the graph, the memory and the popularity all the same.

    Args:
        known: sequences to train on, as indices 0 … ``n_items`` − 1.
        validation: sequences of new users, or nobody's.
        resume_at: directory that keeps the state after every epoch and on interruption.
        resume: go on from the state there, to the weights of an uninterrupted run.

    Raises:
        DataError: nobody has two events, or an item isn't below ``n_items``.
        TrainingError: the loss is not finite.
        CheckpointError: there is nothing to resume, or it belongs to another run.
        ConfigError: the device of the runtime can't be used, or there is nothing to shard.
        KeyboardInterrupt: on Ctrl-C, after the state was kept.
    """
    runtime, watcher = runtime or Runtime(), watcher or Silent()
    if runtime.threads:
        torch.set_num_threads(runtime.threads)
    device = device_named(runtime.device)
    with process_group(device) as workers:
        if runtime.shard_items:
            require_shardable(config.train, n_items, workers)
        run = _Run(known, validation, n_items, runtime, device, workers)
        return run.trained(config, watcher, resume_at, resume=resume).finish()


def can_go_on(place: Path) -> bool:
    """Whether a training that was stopped has left its state in that directory."""
    return kept(place) or kept(place / TEACHER)


@dataclass(frozen=True)
class _Run:
    """What the trainings of a model and of its teacher have in common."""

    known: Sequences
    validation: Sequences
    n_items: int
    runtime: Runtime
    device: torch.device
    workers: Workers

    def trained(
        self, config: Config, watcher: Watcher, resume_at: Path | None, *, resume: bool
    ) -> Trainer:
        """A training that is over; those who judge are in nothing of its model yet."""
        teacher = None
        if config.train.taught:
            teacher = self._teacher(config, watcher, resume_at, resume=resume)
            resume = resume and resume_at is not None and kept(resume_at)
        watcher.step("prepare", 0, 1)
        people, seed = (self.known, self.validation), self.runtime.seed
        trainer = Trainer(*people, config, self.n_items, seed, self.device, self.workers, teacher)
        watcher.step("prepare", 1, 1)
        divided = [PRETRAIN] if self.runtime.shard_items else []
        _train(trainer, seed, watcher, resume_at, divided, resume=resume)
        return trainer

    def _teacher(
        self, config: Config, watcher: Watcher, resume_at: Path | None, *, resume: bool
    ) -> Teacher:
        directory = None if resume_at is None else resume_at / TEACHER
        renamed = Renamed(watcher, {PRETRAIN: TEACHER})
        trainer = self.trained(teachers_config(config), renamed, directory, resume=resume)
        return Teacher(trainer.model)


def _train(
    trainer: Trainer,
    seed: int,
    watcher: Watcher,
    resume_at: Path | None,
    divided: Sequence[str],
    *,
    resume: bool,
) -> None:
    """Both stages, from their start or from the state that is kept.

    In the stages ``divided``, the processes share out the item table.
    """
    place, workers, items = Place(PRETRAIN), trainer.workers, trainer.model.items

    def enter(stage: str) -> None:
        if stage in divided:
            items.divide(workers)
        else:
            items.gather()

    identity = trainer.identity()
    with StateSaver(resume_at, trainer.model, place, identity, workers, divided) as saver:
        if resume:
            saver.restore(enter)
        else:
            enter(place.stage)
        run = partial(
            run_stage,
            model=trainer.model,
            place=place,
            seed=seed,
            watcher=watcher,
            checkpoint=saver.checkpoint,
            workers=workers,
        )
        if place.stage == PRETRAIN:
            run(trainer.pretraining())
            enter(META)
            trainer.start_clusters()
            trainer.start_adaptation()
            place.begin(META)
            saver.checkpoint()
        if trainer.config.meta_epochs:
            run(trainer.meta_training())
