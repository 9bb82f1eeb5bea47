"""Pre-training: predict the next item after every prefix of every known user.

The item table and the transition model learn here, by plain softmax or from a teacher; clusters,
memory and adaptation play no part yet.

Knows nothing about: tasks, clusters, how newcomers judge, files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from clusterseq.config import TrainConfig
from clusterseq.data.graph import SmoothingGraph
from clusterseq.data.histories import Histories
from clusterseq.data.packing import Packing
from clusterseq.data.sequences import Sequences
from clusterseq.data.windows import Windows
from clusterseq.errors import ConfigError
from clusterseq.learning.stage import Stage
from clusterseq.learning.teacher import Teacher
from clusterseq.machine.workers import ALONE, Workers
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.head import Candidates, pointed
from clusterseq.model.losses import Lesson, linear_cross_entropy
from clusterseq.model.rivals import Rivals

LIKELIHOOD = "validation_log_likelihood"
LEAST_BATCHES, LEAST_WINDOWS = 25, 32
"""A training's epoch has at least so many batches if each has at least so many windows: in batches
of the usual size a small shop's training would be over before anything is learnt."""
HARDLY_WORSE = 0.0015
"""A later epoch is kept unless its likelihood is worse by more than this share, about .01 nats: its
rate was lower, and some hundred prefixes can't tell such epochs apart."""


def prefix_stage(
    name: str,
    model: ClusterSeq,
    people: Sequences,
    config: TrainConfig,
    validate: Callable[[], float] | None,
    workers: Workers = ALONE,
    teacher: Teacher | None = None,
    graph: SmoothingGraph | None = None,
    *,
    least_batches: int = 1,
) -> Stage[Histories]:
    """The stage that teaches a model to go on after all prefixes of some people.

    ``validate`` gives the likelihood of newcomers; without it all epochs are run. With a teacher
    the model learns to go on as that does. ``graph`` is what the model's items are smoothed over.
    """
    windows = Windows.of(people, config.window)
    share = max(LEAST_WINDOWS, len(windows.starts) // least_batches)
    batch = min(config.sequences_per_batch, share)
    return Stage(
        name,
        config.pretrain_epochs,
        [(backbone(model), config.learning_rate)],
        lambda generator: windows.batches(batch, generator),
        PrefixLoss(model, config, workers, teacher, graph if config.leave_out else None),
        validate,
        measure=LIKELIHOOD,
        noise=HARDLY_WORSE,
        patience=config.patience,
        clip=config.clip,
        weight_decay=config.weight_decay,
        divided=[model.items.embedding] if model.items.shard else [],
    )


def backbone(model: ClusterSeq) -> list[nn.Parameter]:
    """What pre-training trains."""
    return [*model.items.parameters(), *model.transition.parameters()]


def require_shardable(config: TrainConfig, n_items: int, workers: Workers) -> None:
    """Refuse to share out a table of which every process needs all rows.

    Raises:
        ConfigError: alone, or with options that read the whole table.
    """
    if workers.size == 1:
        raise ConfigError("one process has nobody to share the item table with; add --workers 2")
    if not 0 < config.rivals < n_items:
        raise ConfigError(
            f"train.rivals is {config.rivals}, so every step needs all {n_items} rows of the item "
            "table and nobody can do with a share; draw fewer, or train without --shard-items"
        )
    if config.backbone_rate:
        raise ConfigError(
            "meta-training needs all rows of the item table if it trains them; set "
            "train.backbone_rate to 0, or train without --shard-items"
        )


@dataclass(frozen=True, eq=False)
class PrefixLoss:
    """Mean cross-entropy over all prefixes of a batch of windows."""

    model: ClusterSeq
    """The model; its item table and transition model get gradients."""
    config: TrainConfig
    """How many items compete for a batch, what members are taught, and in what precision."""
    workers: Workers = ALONE
    """Who shares a batch; the losses of all of them add up to that of the batch."""
    teacher: Teacher | None = None
    """Whose expectations are learnt in place of what came next."""
    graph: SmoothingGraph | None = None
    """What items are smoothed over, if a batch shall do without what its own windows put there: a
    newcomer's transitions aren't in it either."""

    def __call__(self, windows: Histories, generator: torch.Generator) -> Float[Tensor, ""]:
        """The loss of one batch; the generator drives dropout and who competes."""
        # The order is found where the batch was made; only what networks read goes to their device.
        all_targets = windows.items[:, 1:][windows.mask[:, 1:]].to(self.model.device)
        rivals = Rivals.draw(all_targets, self.model.n_items, self.config.rivals, generator)
        local = windows[self.workers.share(len(windows))]
        packing = Packing.of(Histories(local.items[:, :-1], local.lengths - 1))
        inputs = packing.pack(local.items[:, :-1]).to(self.model.device, non_blocking=True)
        targets = packing.pack(local.items[:, 1:]).to(self.model.device, non_blocking=True)
        # Only the rows that the batch reads or ranks are smoothed: a step costs what it touches.
        rows = torch.unique(torch.cat([inputs, rivals.items]))  # ascending
        own = self.graph and self.graph.part_of(windows)
        table = self.model.items.vectors(rows, left_out=own)
        positions = torch.searchsorted(rows, inputs)
        dropout = self.workers.own_draws(generator)
        queries = self.model.queries(positions, packing, table, dropout)  # (prefixes, width)
        vectors = table[torch.searchsorted(rows, rivals.items)]
        candidates = self.model.candidates(vectors, rivals.items)
        if self.teacher:
            labels: Tensor | Lesson = self.teacher.lesson(inputs, packing, rivals)
        else:
            labels = torch.searchsorted(rivals.items, targets)
        if not len(targets):  # fewer windows than workers
            return 0 * table.sum()
        loss = linear_cross_entropy(
            *self._per_member(queries, candidates),
            candidates.traits[:, 0] + rivals.extra,
            labels,
            mutual_share=self.config.mutual_share,
            fast=self.config.fast_softmax,
        )
        return loss * (len(targets) / len(all_targets))

    def _per_member(
        self, queries: Float[Tensor, "prefixes width"], candidates: Candidates
    ) -> tuple[Float[Tensor, "members prefixes dim"], Float[Tensor, "members items dim"]]:
        """Each member's queries and item vectors, since each answers for its own scores.

        Trained by their mean score, members would share the work and be one wide model; trained
        apart, they err apart, and the mean of their scores errs less. What they expect together
        may be taught to each for the same reason: it errs less than they do.
        """
        members = candidates.members
        pointing = members * pointed(self.model.start, queries, candidates)
        vectors = candidates.vectors
        return (
            pointing.reshape(len(pointing), members, -1).movedim(1, 0),
            vectors.reshape(len(vectors), members, -1).movedim(1, 0),
        )
