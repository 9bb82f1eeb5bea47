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
from clusterseq.data.memory import KINDS, Memory
from clusterseq.data.packing import Packing
from clusterseq.model.catalogue import Catalogue
from clusterseq.model.head import Candidates
from clusterseq.model.ranker import Ranker


class PaddedEvidence:
    """What ``Evidence`` says, with every row of the memory as long as the longest.

    >>> starts, items = torch.tensor([0, 1, 1, 2, 2]), torch.tensor([1, 0, 0], dtype=torch.int32)
    >>> memory = Memory(starts, items, torch.tensor([0.2, 0.4, 0.0]))
    >>> evidence = PaddedEvidence(memory, 1, Histories.from_lists([[0, 1], [0]]))
    >>> evidence.catalogue()[0]
    tensor([[0.0000, 0.1000],
            [0.0000, 0.2000]])
    """

    def __init__(self, memory: Memory, longest: int, histories: Histories) -> None:
        """Look every item up; behind the memory's last entry stands one that means nothing."""
        self.histories, self.n_items = histories, memory.n_items
        rows = histories.items + torch.arange(len(KINDS))[:, None, None] * self.n_items
        starts, ends = memory.starts[rows], memory.starts[rows + 1]  # (kinds, users, steps)
        entries = starts[..., None] + torch.arange(longest)
        present = (entries < ends[..., None]) & histories.mask[..., None]
        entries = entries.clamp_max(memory.items.shape[0] - 1)
        self.items: Int64[Tensor, "kinds users steps longest"]
        self.items = torch.where(present, memory.items[entries].long(), self.n_items)
        self.weights: Float[Tensor, "kinds users steps longest"]
        self.weights = torch.where(present, memory.weights[entries], 0.0)

    def catalogue(self) -> Float[Tensor, "kinds users items"]:
        """What the histories say of every item, silence included."""
        kinds, users, steps, _ = self.items.shape
        recency = (torch.arange(steps) + 1) / self.histories.lengths[:, None].clamp_min(1)
        votes = (self.weights * recency[..., None]).flatten(2)
        sums = votes.new_zeros(kinds, users, self.n_items + 1)
        return sums.scatter_add(2, self.items.flatten(2), votes)[..., :-1]

    def at_anchors(
        self, places: Int64[Tensor, " items"], anchors: int
    ) -> Float[Tensor, "users kinds prefixes anchors"]:
        """What each proper prefix says of some items: ``places`` tells where, or −1 elsewhere."""
        columns = torch.cat([places, places.new_full((1,), -1)])[self.items]
        columns = torch.where(columns < 0, anchors, columns)
        kinds, users, steps, _ = self.items.shape
        votes = self.weights * (torch.arange(steps) + 1)[:, None]
        per_step = votes.new_zeros(kinds, users, steps, anchors + 1).scatter_add(3, columns, votes)
        sums = per_step[..., :-1].transpose(0, 1)[:, :, :-1].cumsum(dim=2)
        return sums / (torch.arange(steps - 1) + 1)[:, None]

    def at_next(self) -> Float[Tensor, "users kinds prefixes"]:
        """What each proper prefix says of the item that came next; of padding it means nothing."""
        kinds, users, steps, longest = self.items.shape
        next_items = self.histories.items[None, :, None, 1:]
        requested = next_items.expand(kinds, users, steps, steps - 1).contiguous()
        positions = torch.searchsorted(self.items, requested).clamp_max(longest - 1)
        present = self.items.gather(3, positions) == requested
        weights = torch.where(present, self.weights.gather(3, positions), 0.0)
        counts = (torch.arange(steps) + 1)[:, None].expand(-1, steps - 1).triu()
        votes = (weights * counts).sum(dim=2) / (torch.arange(steps - 1) + 1)
        return votes.transpose(0, 1)


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
            self.longest = max(1, int(memory.starts.diff().max()))
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
        heard = self.model.heard(histories, catalogue, evidence)
        preferences = self.model.preferences(histories, queries, catalogue, heard)
        scores = preferences.queries @ self.columns.T
        if evidence is not None and self.model.acuity is not None:
            votes = torch.log1p(self.model.acuity.exp()[:, None, None] * evidence.catalogue())
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
