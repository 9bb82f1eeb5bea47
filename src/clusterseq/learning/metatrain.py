"""Meta-training: adapt to tasks of known users, and learn from what the adapted model predicts.

Outer loss = query loss after adaptation + λ · clustering loss (section 3.2.5). Each batch holds
users of one fold and reads the memory of the other folds, as newcomers are in no memory either.

Knows nothing about: epochs, validation, files.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from clusterseq.config import TrainConfig
from clusterseq.data.evidence import Evidence
from clusterseq.data.histories import Histories
from clusterseq.data.memory import Memory
from clusterseq.data.tasks import Tasks
from clusterseq.learning.folds import FoldTasks
from clusterseq.machine.workers import ALONE, Workers
from clusterseq.model.catalogue import Catalogue, Preferences, catalogue_loss, chunks
from clusterseq.model.clustering import clustering_loss
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.rivals import Rivals

PEOPLE_AT_ONCE = 128
"""So many adapt together on a processor: what a step leaves behind is still in a cache when it is
read."""


@dataclass(eq=False)
class MetaLoss:
    """Query loss after adaptation, and the clustering loss beside it."""

    model: ClusterSeq
    """The model; all of it gets gradients."""
    config: TrainConfig
    """How many items compete for a batch, and the weights of the clustering loss."""
    workers: Workers = ALONE
    """Who shares a batch; the losses of all of them add up to that of the batch."""
    _settled: Catalogue | None = field(default=None, init=False)

    @torch.no_grad()
    def settle(self) -> None:
        """Make the items now for all steps to come: nothing that they are made of is trained."""
        self._settled = None  # so that there are never two in memory
        self._settled = self.model.catalogue()

    def __call__(self, batch: FoldTasks, generator: torch.Generator) -> Float[Tensor, ""]:
        """The outer loss of one batch of tasks."""
        batch = FoldTasks(batch.tasks.to(self.model.device), batch.memory)
        targets, n_items = batch.tasks.targets, self.model.n_items
        # Drawn first, so that all workers draw the same.
        rivals = Rivals.draw(targets, n_items, self.config.rivals, generator)
        return self.against(rivals, batch, generator)

    def against(
        self, rivals: Rivals, batch: FoldTasks, generator: torch.Generator
    ) -> Float[Tensor, ""]:
        """The same against some items, targets included; all of it lies where the model does."""
        model, everybody = self.model, batch.tasks
        tasks = _by_length(everybody[self.workers.share(len(everybody))])
        catalogue = self._settled or model.catalogue()
        dropout = self.workers.own_draws(generator)
        queries = model.encode(tasks.support, catalogue.table, dropout)
        preferences = self._preferences(tasks.support, queries, catalogue, batch.memory)
        columns = torch.nn.functional.embedding(rivals.items, catalogue.items.columns)
        loss = catalogue_loss(preferences, columns, model.acuity, batch.memory, tasks, rivals)
        loss = loss * (len(tasks) / len(everybody)) if len(tasks) else 0 * preferences.queries.sum()
        if model.clusters is not None:
            # How balanced clusters are only everybody together can tell, and it costs little.
            errors = model.clusters.errors(model.represent(everybody.support))
            shares = model.clusters.assigned(errors)
            cluster_loss = clustering_loss(errors, shares, self.config.balance_weight)
            loss = loss + self.config.cluster_weight * cluster_loss / self.workers.size
        return loss

    def _preferences(
        self,
        histories: Histories,
        queries: Float[Tensor, "users steps width"],
        catalogue: Catalogue,
        memory: Memory | None,
    ) -> Preferences:
        """What everybody looks for, of a few people of like lengths at a time: so little of it is
        padding, and it stays in a cache."""
        model = self.model
        of_one = histories.items.shape[1] * model.config.width
        people = max(1, len(histories))  # of nobody there are preferences, too
        parts = []
        for rows in chunks(people, of_one, model.device, PEOPLE_AT_ONCE * of_one):
            some = histories[rows].trimmed()
            evidence = model.support_evidence(some, catalogue, Evidence.of(memory, some))
            theirs = queries[rows, : some.items.shape[1]]
            parts.append(model.preferences(some, theirs, catalogue, evidence))
        return Preferences(
            torch.cat([part.queries for part in parts]), torch.cat([part.trust for part in parts])
        )


def _by_length(tasks: Tasks) -> Tasks:
    """The tasks, those of the shortest support first."""
    return tasks[tasks.support.lengths.argsort(stable=True)]
