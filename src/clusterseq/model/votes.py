"""What the neighbour memory adds to scores: trust · log(1 + e^acuity · evidence).

Knows nothing about: what the memory was made of, how trust comes about, products.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from clusterseq.data.evidence import SparseEvidence, places_of


@dataclass(frozen=True)
class Votes:
    """The memory's part of some people's scores of a catalogue."""

    cells: Int64[Tensor, " votes"]
    """Where, as a place in users × items; a place may come more than once."""
    values: Float[Tensor, " votes"]
    """How much."""

    @classmethod
    def of(
        cls,
        trust: Float[Tensor, "users kinds"],
        acuity: Float[Tensor, " kinds"] | None,
        evidence: SparseEvidence | None,
    ) -> Votes | None:
        """The evidence for some people, as each trusts it; None without a memory."""
        if acuity is None or evidence is None:
            return None
        trusted = trust.T.flatten().index_select(0, evidence.owners)
        return cls(evidence.cells, trusted * torch.log1p(sharpened(evidence, acuity, len(trust))))

    def added(self, scores: Float[Tensor, "users items"]) -> Float[Tensor, "users items"]:
        """Scores, in place, with their votes."""
        scores.view(-1).scatter_add_(0, self.cells, self.values.to(scores.dtype))
        return scores

    def of_some(self, rows: Int64[Tensor, " some"], users: int, n_items: int) -> Votes:
        """The votes for some of the users, as if there were no others.

        >>> votes = Votes(torch.tensor([1, 5, 9]), torch.tensor([0.5, 2.0, 0.25]))
        >>> votes.of_some(torch.tensor([0, 2]), users=3, n_items=4).cells.tolist()
        [1, 5]
        """
        owners = places_of(rows, users)[torch.div(self.cells, n_items, rounding_mode="floor")]
        chosen = (owners >= 0).nonzero()[:, 0]
        return Votes(owners[chosen] * n_items + self.cells[chosen] % n_items, self.values[chosen])

    def at(self, items: Int64[Tensor, "users some"], n_items: int) -> Float[Tensor, "users some"]:
        """The votes for some items of each person; none for what lies past the catalogue's end.

        >>> votes = Votes(torch.tensor([1, 5, 1]), torch.tensor([0.5, 2.0, 0.25]))
        >>> votes.at(torch.tensor([[1, 4], [0, 1]]), n_items=4)
        tensor([[0.7500, 0.0000],
                [0.0000, 2.0000]])
        """
        users = len(items)
        requested = items + n_items * torch.arange(users, device=items.device)[:, None]
        requested = requested.masked_fill_(items == n_items, users * n_items).flatten()
        # Only what is written is read, so nearly all of this memory is never touched.
        sums = self.values.new_empty(users * n_items + 1)
        sums.scatter_(0, requested, 0.0).scatter_(0, self.cells, 0.0)
        sums.scatter_add_(0, self.cells, self.values)
        return sums.index_select(0, requested).view(items.shape)


def sharpened(
    evidence: SparseEvidence, acuity: Float[Tensor, " kinds"], people: int
) -> Float[Tensor, " cells"]:
    """e^acuity · evidence."""
    sharpness = acuity.exp().repeat_interleave(people)
    return sharpness.index_select(0, evidence.owners) * evidence.values
