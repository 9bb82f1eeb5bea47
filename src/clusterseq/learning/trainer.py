"""The data, the model and the stages of one training.

Knows nothing about: raw ids, files, the order of the stages, test users.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from clusterseq.config import Config
from clusterseq.data.graph import SmoothingGraph
from clusterseq.data.histories import Histories
from clusterseq.data.ledger import Ledger
from clusterseq.data.memory import Sums
from clusterseq.data.sequences import Sequences
from clusterseq.data.tasks import Tasks
from clusterseq.errors import DataError, TrainingError
from clusterseq.judging.judge import Score, judged_tasks, log_likelihood, mean_reciprocal_rank
from clusterseq.learning.calibrate import calibrate, scalars
from clusterseq.learning.clusters import (
    measure_clusters,
    refresh_profiles,
    revive_clusters,
    start_clusters,
)
from clusterseq.learning.folds import FoldTasks, make_folds, task_batches
from clusterseq.learning.metatrain import MetaLoss
from clusterseq.learning.pretrain import LEAST_BATCHES, LIKELIHOOD, backbone, prefix_stage
from clusterseq.learning.stage import MRR, NOISE, Stage
from clusterseq.learning.teacher import Teacher
from clusterseq.machine.accelerator import CPU
from clusterseq.machine.workers import ALONE, Workers
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.lifts import Lifts
from clusterseq.model.ranker import Ranker

PRETRAIN, META = "pretrain", "meta"
HELD_OUT_SHARE = 0.1
"""Known users who judge the training where nobody is new."""
HARM = 0.05
"""By so much less likelihood, in nats, the inner loop is refused; draws make a tenth of it."""
GAIN = 0.02
"""So much more likelihood, in nats, newcomers ask of what clusters say for items: less of it makes
the whole list likelier and its top no better."""


def remember(model: ClusterSeq, sums: Sums, ledger: Ledger) -> SmoothingGraph | None:
    """Give a model its graph, freshness and memory, of whomever they were counted.

    Returns the graph, if the model smooths over one.
    """
    graph = SmoothingGraph.of(sums.transitions) if model.config.smoothing > 0 else None
    if graph is not None:
        model.items.set_graph(graph.edges)
    if model.items.freshness is not None:
        model.items.freshness.copy_(torch.from_numpy(ledger.freshness()))
    if model.config.memory:
        model.memory = sums.memory(ledger.counts, ledger.people).to(model.device)
    return graph


def start_biases(model: ClusterSeq, counts: Int64[np.ndarray, " items"]) -> None:
    """Let items start by the logarithm of how often each was touched."""
    logs = torch.from_numpy(np.log(counts + 1)).to(torch.float32)
    model.items.bias.data.copy_(logs - logs.mean())


def learners_and_judges(
    known: Sequences, validation: Sequences, generator: np.random.Generator
) -> tuple[Int64[np.ndarray, " learners"], Sequences]:
    """Which known users to train on, and who judges: people who are new to the memory, too.

    Those of the validation part judge; where it is empty, a drawn tenth of the known users.
    """
    if (validation.lengths > 1).any():
        return np.arange(len(known)), validation
    drawn = generator.permutation(len(known))
    held_out = int(HELD_OUT_SHARE * len(drawn))
    return np.sort(drawn[held_out:]), known.select(np.sort(drawn[:held_out]))


def _require_items(n_items: int, *people: Sequences) -> None:
    """Refuse items that aren't in the catalogue, before something far below stumbles over one."""
    for items in (sequences.items for sequences in people):
        if len(items) and not 0 <= items.min() <= items.max() < n_items:
            raise DataError(
                f"items are numbered from {items.min()} to {items.max()}, and n_items = {n_items} "
                f"allows 0 to {n_items - 1}; give the size of the catalogue"
            )


class Trainer:
    """The data, the model and the two stages of one training."""

    def __init__(
        self,
        known: Sequences,
        validation: Sequences,
        config: Config,
        n_items: int,
        seed: int,
        device: torch.device = CPU,
        workers: Workers = ALONE,
        teacher: Teacher | None = None,
    ) -> None:
        if not (known.lengths > 1).any():
            raise DataError(
                "no known user has two events, so nothing follows anything; give longer histories",
                code="split",
            )
        _require_items(n_items, known, validation)
        self.config, self.seed, self.known = config.train, seed, known
        # Weights are drawn on the processor: they start the same wherever they are trained.
        model = ClusterSeq(dataclasses.replace(config.model, n_items=n_items), seed)
        self.device, self.model, self.workers = device, model.on(device), workers
        self.teacher = teacher
        if teacher is not None:
            teacher.start(self.model.items.embedding.data)
        self.users, judges = learners_and_judges(known, validation, self._draws("users"))
        start_biases(self.model, self._learners.counts(n_items))
        graph = self._remember(self._learners)
        # A large graph is held once, by the model, unless windows are to be left out of it.
        self._graph = graph if self.config.leave_out else None
        self.validation = judged_tasks(judges, self._draws("validation")).to(device)
        self._identity = json.dumps([config.to_dict(), n_items, seed])

    def identity(self) -> str:
        """A digest of the data, the configuration and the seed."""
        digest = hashlib.sha256(self._identity.encode())
        judges = self.validation.to(CPU)
        known = (self.known.items, self.known.times, self.known.offsets)
        arrays = (*known, judges.support.items, judges.targets)
        for array in map(np.asarray, arrays):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def pretraining(self) -> Stage[Histories]:
        """Next items after all prefixes, or what the teacher makes of them."""
        validate = self._calibrated if self._calibrates() else None
        return prefix_stage(
            PRETRAIN,
            self.model,
            self._learners,
            self.config,
            validate,
            self.workers,
            self.teacher,
            self._graph,
            least_batches=LEAST_BATCHES,
        )

    @cached_property
    def _learners(self) -> Sequences:
        """Known users but for those who judge, if some of them do."""
        return self.known if len(self.users) == len(self.known) else self.known.select(self.users)

    def start_clusters(self) -> None:
        """Start the clusters on what pre-training has made of the items."""
        start_clusters(self.model, self._learners, self._torch_draws("clusters"))
        if self.model.lifts is not None and self._calibrates():
            self._start_lifts(self.model.lifts)

    def _start_lifts(self, lifts: Lifts) -> None:
        """Have clusters speak for items, if newcomers gain by it."""
        model = self.model
        former = {value: value.detach().clone() for value in scalars(model)}
        alone = self._calibrated()
        measure_clusters(model, self._learners)
        events = len(self._learners.items)
        lifts.measure(model.cluster_popularity, model.cluster_sizes, events)
        if self._calibrated() < alone + GAIN:
            lifts.silence()
            for value, before in former.items():
                value.data.copy_(before)

    def start_adaptation(self) -> None:
        """Have the inner loop begin with steps of nothing where newcomers are worse off by its own.

        Meta-training compares what it learns with the model that adapts already.
        """
        rates = self.model.rates
        if rates is None or not self._calibrates():
            return
        ranker = Ranker(self.model)

        def reached(steps: int | None) -> float:
            def score(histories: Histories) -> Float[Tensor, "users items"]:
                return ranker.scores(ranker.adapt(histories, steps))

            return log_likelihood(score, self.validation)

        try:
            harmful = reached(None) < reached(0) - HARM
        except TrainingError:  # steps so long that nothing finite comes of them
            harmful = True
        if harmful:
            rates.data.zero_()

    def meta_training(self) -> Stage[FoldTasks]:
        """Tasks of known users."""
        model, config, calibrated = self.model, self.config, self._calibrates()
        groups: list[tuple[Sequence[torch.nn.Parameter], float]] = [
            (list(self._fresh()), config.meta_learning_rate)
        ]
        if config.backbone_rate:
            groups.append((backbone(self.model), config.backbone_rate))
        loss = MetaLoss(model, config, self.workers)
        folds = make_folds(
            self.known,
            self.users,
            model.n_items,
            folds=config.folds,
            memory=model.config.memory,
            generator=self._draws("folds"),
            device=self.device,
        )
        return Stage(
            META,
            config.meta_epochs,
            groups,
            lambda generator: task_batches(self.known, folds, config, generator),
            loss,
            self._judge(log_likelihood if calibrated else mean_reciprocal_rank),
            measure=LIKELIHOOD if calibrated else MRR,
            noise=0.0 if calibrated else NOISE,
            before_epoch=lambda: self._before_epoch(loss),
            patience=config.patience,
            clip=config.clip,
            weight_decay=config.weight_decay,
        )

    def finish(self) -> ClusterSeq:
        """The model with its prior measured, every known user remembered, on the processor."""
        if len(self.users) < len(self.known):
            self._remember(self.known)
        measure_clusters(self.model, self.known)
        return self.model.on(CPU)

    def _remember(self, people: Sequences) -> SmoothingGraph | None:
        """Take graph, freshness and memory from some people."""
        n_items = self.model.n_items
        return remember(self.model, Sums.of(people, n_items), Ledger.of(people, n_items))

    def _calibrates(self) -> bool:
        """Whether newcomers fit the scalars: a model that learnt nothing yet has none to fit."""
        return len(self.validation) > 0 and self.config.pretrain_epochs > 0

    def _fresh(self) -> Iterator[torch.nn.Parameter]:
        """What meta-training alone trains; calibrated scalars stay as newcomers fitted them."""
        settled = {id(p) for p in backbone(self.model)}
        if self._calibrates():
            settled |= {id(p) for p in scalars(self.model)}
        return (p for p in self.model.parameters() if id(p) not in settled)

    def _before_epoch(self, loss: MetaLoss) -> None:
        """Let clusters follow what the last epoch has made of people and items."""
        model, moving = self.model, bool(self.config.backbone_rate)
        if moving:  # else profiles are what they were when the clusters started
            refresh_profiles(model, self._learners)
        revive_clusters(model, self._learners)
        if model.lifts is not None and model.lifts.measured:
            measure_clusters(model, self._learners)
        if not moving:
            loss.settle()

    def _calibrated(self) -> float:
        """Fit the scalars to the validation users; returns the likelihood that this reaches."""
        return -calibrate(self.model, self.validation)

    def _judge(self, measure: Callable[[Score, Tasks], float]) -> Callable[[], float] | None:
        """How well the validation users' prefixes are continued by the model as it is then."""
        if not len(self.validation):
            return None
        return lambda: measure(Ranker(self.model).score, self.validation)

    def _draws(self, purpose: str) -> np.random.Generator:
        return np.random.default_rng([self.seed, *purpose.encode()])

    def _torch_draws(self, purpose: str) -> torch.Generator:
        seed = int(self._draws(purpose).integers(2**62))
        return torch.Generator(self.device).manual_seed(seed)
