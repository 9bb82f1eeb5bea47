"""Who competes in a softmax: the whole catalogue, or what came next and a draw of other items.

A drawn item stands for several of those that weren't (log-Q, Bengio & Senécal 2008): beside its
score is the logarithm of how many, so that the sum over the few estimates the sum over all.

Knows nothing about: scores, models.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from clusterseq.data.evidence import places_of
from clusterseq.data.histories import Histories

FEWEST_OTHERS = 0.25
"""Share of the rivals asked for that are drawn, even if that makes more of them."""


@dataclass(frozen=True)
class Rivals:
    """Some items of a catalogue, or all."""

    items: Int64[Tensor, " chosen"]
    """Which, ascending."""
    extra: Float[Tensor, " chosen"]
    """The log-weight of each: 0 for one that stands for itself."""
    n_items: int
    """Size of the catalogue."""

    @classmethod
    def draw(
        cls, wanted: Int64[Tensor, "*any"], n_items: int, at_most: int, generator: torch.Generator
    ) -> Rivals:
        """Those that have to be there, and as many others as there is room for.

        At most 0, or as many as there are, means all. Together they are as many in every draw,
        where those that have to be there leave room: products of one shape are fast. A quarter of
        the room is always for others: a few of them would stand for very many.

        >>> rivals = Rivals.draw(torch.tensor([2, 5]), 9, 4, torch.Generator().manual_seed(0))
        >>> len(rivals.items), {2, 5} <= set(rivals.items.tolist())
        (4, True)
        >>> round(float(rivals.extra.exp().sum()))  # they stand for all
        9
        """
        items = torch.arange(n_items, device=wanted.device)
        extra = torch.zeros(n_items, device=wanted.device)
        if not 0 < at_most < n_items:
            return cls(items, extra, n_items)
        mask = torch.zeros_like(items, dtype=torch.bool)
        mask[wanted] = True
        others = items[~mask]
        room = max(1, int(FEWEST_OTHERS * at_most), at_most - (n_items - len(others)))
        order = torch.randperm(len(others), generator=generator, device=wanted.device)
        drawn = others[order[:room]]
        extra[drawn] = math.log(max(1, len(others)) / max(1, len(drawn)))
        mask[drawn] = True
        chosen = items[mask]
        return cls(chosen, extra[chosen], n_items)

    @cached_property
    def places(self) -> Int64[Tensor, " items"]:
        """Where each item of the catalogue stands among these; −1 where it doesn't."""
        return places_of(self.items, self.n_items)

    def touched(self, histories: Histories) -> Bool[Tensor, "users chosen"]:
        """Which of these each person has touched."""
        touched = torch.zeros(
            len(histories), len(self.items), dtype=torch.bool, device=self.items.device
        )
        positions = self.places[histories.items]
        rows, steps = (histories.mask & (positions >= 0)).nonzero(as_tuple=True)
        touched[rows, positions[rows, steps]] = True
        return touched
