"""Losses of a next item: over the whole catalogue, or against negatives drawn for a batch.

- full softmax: cross-entropy over all items;
- sampled softmax: the same over uniform negatives, each weighted for those not drawn (log-Q), as
  "Recurrent Neural Networks with Top-k Gains" (CIKM 2018, arXiv 1706.03847) trains GRU4Rec;
- gBCE: Petrov & Macdonald, "gSASRec: Reducing Overconfidence in Sequential Recommendation Trained
  with Negative Sampling" (RecSys 2023, arXiv 2308.07192).

All negatives are uniform and shared by the batch, where some of the papers draw them anew for each
position: the expectation is the same, and a batch is one matrix product.

Knows nothing about: how queries come about, sequences, optimisers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn.functional import logsigmoid

from clusterseq.baselines.item_table import ItemTable
from clusterseq.model.losses import cross_entropy, sampled_cross_entropy

ItemLoss: TypeAlias = Callable[[ItemTable, Tensor, Tensor, torch.Generator], Tensor]
"""How wrong a table is on average about queries and their targets; the generator draws."""


@dataclass(frozen=True)
class FullSoftmax:
    """Cross-entropy over the whole catalogue."""

    def __call__(
        self,
        items: ItemTable,
        queries: Float[Tensor, "prefixes dim"],
        targets: Int64[Tensor, " prefixes"],
        generator: torch.Generator,
    ) -> Float[Tensor, ""]:
        """The mean over the queries; nothing is drawn."""
        return cross_entropy(items.logits(queries), targets)


@dataclass(frozen=True)
class SampledSoftmax:
    """Cross-entropy over the target and uniform negatives."""

    negatives: int = 1024
    """How many are drawn for a batch."""

    def __call__(
        self,
        items: ItemTable,
        queries: Float[Tensor, "prefixes dim"],
        targets: Int64[Tensor, " prefixes"],
        generator: torch.Generator,
    ) -> Float[Tensor, ""]:
        """The mean over the queries."""
        target_logits, rivals, hit = _against(self.negatives, items, queries, targets, generator)
        weight = math.log(items.n_items / self.negatives)
        return sampled_cross_entropy(target_logits, rivals, weight, hit)


@dataclass(frozen=True)
class GBCE:
    """Binary cross-entropy whose positives are calibrated for the negatives not drawn."""

    negatives: int = 256
    """How many are drawn for a batch."""
    calibration: float = 0.75
    """0 is plain binary cross-entropy; 1 makes the scores those of a softmax."""

    def __call__(
        self,
        items: ItemTable,
        queries: Float[Tensor, "prefixes dim"],
        targets: Int64[Tensor, " prefixes"],
        generator: torch.Generator,
    ) -> Float[Tensor, ""]:
        """The mean over the queries."""
        rate = self.negatives / (items.n_items - 1)
        # eq. 14: between the sampling rate (t = 1) and 1 (t = 0)
        power = rate * (self.calibration * (1 - 1 / rate) + 1 / rate)
        return gbce(*_against(self.negatives, items, queries, targets, generator), power)


def gbce(
    target_logits: Float[Tensor, " prefixes"],
    rivals: Float[Tensor, "prefixes negatives"],
    hit: Bool[Tensor, "prefixes negatives"],
    power: float,
) -> Float[Tensor, ""]:
    """−(log σ(target)^β + Σ log (1 − σ(rivalⱼ))) / negatives."""
    below = logsigmoid(-rivals).masked_fill(hit, 0).sum(dim=1)
    return -(power * logsigmoid(target_logits) + below).mean() / rivals.shape[1]


def _against(
    negatives: int,
    items: ItemTable,
    queries: Float[Tensor, "prefixes dim"],
    targets: Int64[Tensor, " prefixes"],
    generator: torch.Generator,
) -> tuple[
    Float[Tensor, " prefixes"],
    Float[Tensor, "prefixes negatives"],
    Bool[Tensor, "prefixes negatives"],
]:
    """The targets' logits, those of drawn negatives, and where a negative is the target itself."""
    drawn = torch.randint(items.n_items, (negatives,), generator=generator, device=generator.device)
    return items.paired(queries, targets), items.logits(queries, drawn), drawn == targets[:, None]
