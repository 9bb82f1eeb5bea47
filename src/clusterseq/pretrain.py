"""Pre-training: predict the next item after every prefix of every known user.

The item table and the transition model learn here, by plain softmax; clusters, memory and
adaptation play no part yet.

Knows nothing about: tasks, clusters, epochs, files.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from clusterseq.config import TrainConfig
from clusterseq.histories import Histories
from clusterseq.losses import linear_cross_entropy, sampled_cross_entropy
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.head import Candidates, point


@dataclass(frozen=True, eq=False)
class PrefixLoss:
    """Mean cross-entropy over all prefixes of a batch of windows."""

    model: ClusterSeq
    """The model; its item table and transition model get gradients."""
    negatives: int
    """Shared sampled negatives, or 0 for the full catalogue."""
    fast: bool = False
    """Multiply in bfloat16 where the full catalogue competes."""

    def __call__(self, windows: Histories, generator: torch.Generator) -> Float[Tensor, ""]:
        """The loss of one batch; the generator drives dropout and negatives."""
        table = self.model.items.vectors()
        inputs = Histories(windows.items[:, :-1], windows.lengths - 1)
        queries = self.model.encode(inputs, table, generator)[inputs.mask]  # (prefixes, width)
        targets = windows.items[:, 1:][inputs.mask]
        if self.negatives:
            return self._sampled(queries, table, targets, generator)
        everything = self.model.candidates(table, torch.arange(self.model.n_items))
        losses = [
            linear_cross_entropy(query, vectors, bias, targets, fast=self.fast)
            for query, vectors, bias in self._apart(queries, everything)
        ]
        return torch.stack(losses).mean()

    def _sampled(
        self,
        queries: Float[Tensor, "prefixes width"],
        table: Float[Tensor, "items width"],
        targets: Int64[Tensor, " prefixes"],
        generator: torch.Generator,
    ) -> Float[Tensor, ""]:
        drawn = torch.randint(self.model.n_items, (self.negatives,), generator=generator)
        rivals = self._apart(queries, self.model.candidates(table, drawn))
        wanted = self._apart(queries, self.model.candidates(table, targets))
        weight = math.log(self.model.n_items / self.negatives)
        losses = [
            sampled_cross_entropy(
                (query * own).sum(dim=1) + own_bias,
                torch.addmm(bias, query, vectors.T),
                weight,
                drawn == targets[:, None],
            )
            for (query, vectors, bias), (_, own, own_bias) in zip(rivals, wanted, strict=True)
        ]
        return torch.stack(losses).mean()

    def _apart(
        self, queries: Float[Tensor, "prefixes width"], candidates: Candidates
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Each member's queries, item vectors and bias: nobody learns from another's mistakes.

        Trained by their mean score, members would share the work and be one wide model; trained
        apart, they err apart, and the mean of their scores errs less.
        """
        members = candidates.members
        pointed = members * point(self.model.theta, queries, candidates)
        pieces = zip(pointed.chunk(members, -1), candidates.vectors.chunk(members, -1), strict=True)
        return ((query, vectors, candidates.traits[:, 0]) for query, vectors in pieces)


@torch.no_grad()
def plain_scores(model: ClusterSeq, histories: Histories) -> Float[Tensor, "users items"]:
    """What pre-training alone would rank by: the last query against the catalogue."""
    histories = histories.last(model.config.max_steps)
    table = model.items.vectors()
    queries = model.encode(histories, table)
    last = queries[torch.arange(len(histories)), (histories.lengths - 1).clamp_min(0)]
    candidates = model.candidates(table, torch.arange(model.n_items))
    pointed = point(model.theta, last, candidates)
    return torch.addmm(candidates.traits[:, 0], pointed, candidates.vectors.T)


def negatives_for(config: TrainConfig, n_items: int) -> int:
    """How many shared negatives a catalogue of this size is trained with (0: all of it)."""
    if n_items > config.full_softmax_up_to:
        return max(config.negatives, 4096)
    return min(config.negatives, n_items)
