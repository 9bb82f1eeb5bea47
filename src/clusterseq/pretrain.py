"""Pre-training: predict the next item after every prefix of every known user.

The item table and the transition model learn here, by plain softmax; clusters, memory and
adaptation play no part yet.

Knows nothing about: tasks, clusters, epochs, files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from clusterseq.config import TrainConfig
from clusterseq.histories import Histories
from clusterseq.losses import cross_entropy, sampled_cross_entropy
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.head import point


@dataclass(frozen=True, eq=False)
class PrefixLoss:
    """Mean cross-entropy over all prefixes of a batch of windows."""

    model: ClusterSeq
    """The model; its item table and transition model get gradients."""
    negatives: int
    """Shared sampled negatives, or 0 for the full catalogue."""

    def __call__(self, windows: Histories, generator: torch.Generator) -> Float[Tensor, ""]:
        """The loss of one batch; the generator drives dropout and negatives."""
        table = self.model.items.vectors()
        inputs = Histories(windows.items[:, :-1], windows.lengths - 1)
        queries = self.model.encode(inputs, table, generator)[inputs.mask]  # (prefixes, dim)
        targets = windows.items[:, 1:][inputs.mask]
        if not self.negatives:
            everything = torch.arange(self.model.n_items)
            return cross_entropy(self._logits(queries, table, everything), targets)
        drawn = torch.randint(self.model.n_items, (self.negatives,), generator=generator)
        own = self.model.candidates(table, targets)
        pointed = point(self.model.theta, queries, own.scale)
        return sampled_cross_entropy(
            (pointed * own.vectors).sum(dim=1) + own.traits[:, 0],
            self._logits(queries, table, drawn),
            math.log(self.model.n_items / self.negatives),
            drawn == targets[:, None],
        )

    def _logits(
        self,
        queries: Float[Tensor, "prefixes dim"],
        table: Float[Tensor, "items dim"],
        chosen: Int64[Tensor, " chosen"],
    ) -> Float[Tensor, "prefixes chosen"]:
        candidates = self.model.candidates(table, chosen)
        pointed = point(self.model.theta, queries, candidates.scale)
        return torch.addmm(candidates.traits[:, 0], pointed, candidates.vectors.T)


@torch.no_grad()
def plain_scores(model: ClusterSeq, histories: Histories) -> Float[Tensor, "users items"]:
    """What pre-training alone would rank by: the last query against the catalogue."""
    histories = histories.last(model.config.max_steps)
    table = model.items.vectors()
    queries = model.encode(histories, table)
    last = queries[torch.arange(len(histories)), (histories.lengths - 1).clamp_min(0)]
    candidates = model.candidates(table, torch.arange(model.n_items))
    pointed = point(model.theta, last, candidates.scale)
    return torch.addmm(candidates.traits[:, 0], pointed, candidates.vectors.T)


def negatives_for(config: TrainConfig, n_items: int) -> int:
    """How many shared negatives a catalogue of this size is trained with (0: all of it)."""
    if n_items > config.full_softmax_up_to:
        return max(config.negatives, 4096)
    return min(config.negatives, n_items)
