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
from clusterseq.learning.folds import FoldTasks
from clusterseq.machine.workers import ALONE, Workers
from clusterseq.model.catalogue import Catalogue, catalogue_loss, chunks
from clusterseq.model.clustering import clustering_loss
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.rivals import Rivals

MOST_RIVALS = 20_000
"""Items in the softmax of a batch; of a larger catalogue, some stand for the rest."""


@dataclass(eq=False)
class MetaLoss:
    """Query loss after adaptation, and the clustering loss beside it."""

    model: ClusterSeq
    """The model; all of it gets gradients."""
    config: TrainConfig
    """Weights of the clustering loss."""
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
        model = self.model
        everybody = batch.tasks.to(model.device)
        tasks = everybody[self.workers.share(len(everybody))]
        catalogue = self._settled or model.catalogue()
        rivals = None
        if model.n_items > MOST_RIVALS:  # drawn first, so that all workers draw the same
            rivals = Rivals.draw(everybody.targets, model.n_items, MOST_RIVALS, generator)
        dropout = self.workers.own_draws(generator)
        queries = model.encode(tasks.support, catalogue.table, dropout)
        support_evidence = self._support_evidence(tasks.support, catalogue, batch.memory)
        preferences = model.preferences(tasks.support, queries, catalogue, support_evidence)
        columns = catalogue.items.columns
        if rivals is not None:
            columns = torch.nn.functional.embedding(rivals.items, columns)
        loss = catalogue_loss(preferences, columns, model.acuity, batch.memory, tasks, rivals)
        loss = loss * (len(tasks) / len(everybody)) if len(tasks) else 0 * preferences.queries.sum()
        if model.clusters is not None:
            # How balanced clusters are only everybody together can tell, and it costs little.
            errors = model.clusters.errors(model.represent(everybody.support))
            shares = model.clusters.assigned(errors)
            cluster_loss = clustering_loss(errors, shares, self.config.balance_weight)
            loss = loss + self.config.cluster_weight * cluster_loss / self.workers.size
        return loss

    def _support_evidence(
        self, histories: Histories, catalogue: Catalogue, memory: Memory | None
    ) -> Float[Tensor, "users kinds prefixes candidates"] | None:
        """What the inner loop asks of the memory, of a few people at a time: so it stays in a
        cache."""
        parts = []
        for rows in chunks(len(histories), self.model.n_items, histories.items.device):
            some = histories[rows]
            parts.append(self.model.support_evidence(some, catalogue, Evidence.of(memory, some)))
        present = [part for part in parts if part is not None]
        return torch.cat(present) if present else None
