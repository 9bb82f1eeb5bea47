"""A model as one function of two tensors, so that it can be traced and used without this package.

All sizes but the number of people are fixed: what is as long as it happens to be elsewhere, such as
histories and what the memory says, is padded here. That costs time, and changes no score.

Knows nothing about: raw ids, files, how a function is traced.
"""

from __future__ import annotations

import copy

import torch
from jaxtyping import Float, Int32, Int64
from torch import Tensor, nn

from clusterseq.data.histories import Histories
from clusterseq.data.memory import Memory
from clusterseq.data.packing import Packing
from clusterseq.data.padded_evidence import PaddedEvidence
from clusterseq.model.catalogue import Catalogue
from clusterseq.model.head import Candidates
from clusterseq.model.ranker import Ranker


class Portable(nn.Module):
    """Histories of item indices in, scores of the whole catalogue out, adaptation included."""

    table: Float[Tensor, "items width"]
    columns: Float[Tensor, "items columns"]
    prior: Float[Tensor, " items"]
    anchor_columns: Float[Tensor, "anchors columns"] | None
    anchor_places: Int64[Tensor, " items"] | None
    starts: Int64[Tensor, " bounds"]
    entries: Int32[Tensor, " entries"]
    weights: Float[Tensor, " entries"]

    def __init__(self, ranker: Ranker) -> None:
        super().__init__()
        items, anchors = ranker.catalogue.items, ranker.catalogue.anchors
        self.model = copy.deepcopy(ranker.model)
        self.model.settle()
        self.shape = items.width, items.scale, items.members
        self._add_buffer("table", ranker.catalogue.table)
        self._add_buffer("columns", items.columns)
        self._add_buffer("prior", ranker.prior)
        self._add_buffer("anchor_columns", None if anchors is None else anchors.columns)
        self._add_buffer("anchor_places", ranker.catalogue.anchor_places)
        memory, self.model.memory = self.model.memory, None
        self.longest = 0
        if memory is not None:
            self.longest = max(1, memory.longest)
            self._add_buffer("starts", memory.starts)
            self._add_buffer("entries", nn.functional.pad(memory.items, (0, 1)))
            self._add_buffer("weights", nn.functional.pad(memory.weights, (0, 1)))
        for parameter in self.parameters():
            parameter.requires_grad_(False)

    def forward(
        self, items: Int64[Tensor, "users steps"], lengths: Int64[Tensor, " users"]
    ) -> Float[Tensor, "users items"]:
        """Higher is better; without history the score is popularity.

        Args:
            items: item indices, oldest first, padded on the right to the model's ``max_steps``.
            lengths: how many of a row are true items.
        """
        histories, catalogue = Histories(items, lengths), self._catalogue()
        evidence = self._evidence(histories)
        # Padding is read, too: nobody looks at what follows from it.
        queries = self.model.encode(histories, self.table, packing=Packing.full(histories))
        support_evidence = self.model.support_evidence(histories, catalogue, evidence)
        preferences = self.model.preferences(histories, queries, catalogue, support_evidence)
        scores = preferences.queries @ self.columns.T
        if evidence is not None and self.model.acuity is not None:
            votes = torch.log1p(self.model.acuity.exp()[:, None, None] * evidence.dense())
            scores = scores + (preferences.trust.T[..., None] * votes).sum(dim=0)
        return torch.where(lengths[:, None] == 0, self.prior, scores)

    def _catalogue(self) -> Catalogue:
        anchors = self.anchor_columns
        return Catalogue(
            self.table,
            Candidates(self.columns, *self.shape),
            None if anchors is None else Candidates(anchors, *self.shape),
            self.anchor_places,
        )

    def _evidence(self, histories: Histories) -> PaddedEvidence | None:
        if not self.longest:
            return None
        memory = Memory(self.starts, self.entries, self.weights)
        return PaddedEvidence(memory, self.longest, histories)

    def _add_buffer(self, name: str, tensor: Tensor | None) -> None:
        """Copied and whole, so that no two share what they lie in."""
        if tensor is not None:
            tensor = tensor.detach().clone(memory_format=torch.contiguous_format)
        self.register_buffer(name, tensor)
