"""Histories of unequal lengths without padding: all first items, then all second ones, and so on.

The longest history stands first, so the people who have a next item are always the first ones, and
a recurrent step over them is a slice. Products, dropout and everything else that takes items one by
one then costs nothing for padding, which is two cells of five in a batch of training.

Knows nothing about: what the items are, networks.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from clusterseq.data.histories import Histories


@dataclass(frozen=True)
class Packing:
    """Where the true items of some histories stand."""

    shape: tuple[int, int]
    """Users and steps of the padded histories."""
    cells: Int64[Tensor, " items"]
    """The place of each item in users × steps."""
    sizes: list[int]
    """How many people have a first item, a second one, …: never more than before."""

    @classmethod
    def of(cls, histories: Histories) -> Packing:
        """The order of the items of some histories.

        >>> packing = Packing.of(Histories.from_lists([[5], [], [6, 7]]))
        >>> packing.sizes, packing.pack(torch.tensor([[5, 0], [0, 0], [6, 7]])).tolist()
        ([2, 1], [6, 5, 7])
        """
        users, steps = histories.items.shape
        if bool((histories.lengths == steps).all()):  # as where one person is served
            return cls.full(histories)
        order = histories.lengths.argsort(descending=True, stable=True)
        mask = histories.mask[order].T  # (steps, users)
        step, rank = mask.nonzero(as_tuple=True)
        sizes = [size for size in mask.sum(dim=1).tolist() if size]
        return cls((users, steps), order[rank] * steps + step, sizes)

    @classmethod
    def full(cls, histories: Histories) -> Packing:
        """The same where every cell counts as an item, which takes no look at lengths."""
        users, steps = histories.items.shape
        cells = torch.arange(users * steps, device=histories.items.device)
        return cls(
            (users, steps), cells.view(users, steps).T.flatten(), [users] * steps if users else []
        )

    def pack(self, padded: Int64[Tensor, "users steps"]) -> Int64[Tensor, " items"]:
        """The true cells of something padded."""
        return padded.flatten().index_select(0, self.cells)

    def unpack(self, packed: Float[Tensor, "items width"]) -> Float[Tensor, "users steps width"]:
        """Put every item's values back into its cell; padding gets zeros."""
        users, steps = self.shape
        if self.sizes == [users] * steps:
            return packed.reshape(steps, users, packed.shape[1]).transpose(0, 1)
        padded = packed.new_zeros(users * steps, packed.shape[1])
        return padded.index_copy(0, self.cells, packed).view(users, steps, packed.shape[1])

    def side_by_side(
        self, packed: Float[Tensor, "members items dim"]
    ) -> Float[Tensor, "members people steps dim"]:
        """Everybody's steps in a row, for what looks over all of a person's, longest first."""
        people = self.sizes[0]
        if self.sizes[-1] == people:
            return packed.reshape(len(packed), -1, people, packed.shape[2]).transpose(1, 2)
        pieces = packed.split_with_sizes(self.sizes, dim=1)
        padded = [
            torch.nn.functional.pad(piece, (0, 0, 0, people - piece.shape[1])) for piece in pieces
        ]
        return torch.stack(padded, dim=2)

    def in_turn(
        self, rows: Float[Tensor, "members people steps dim"]
    ) -> Float[Tensor, "members items dim"]:
        """The inverse of ``side_by_side``."""
        if self.sizes[-1] == self.sizes[0]:
            return rows.transpose(1, 2).flatten(1, 2)
        # Steps apart first: a gradient of one of them is then as large as that step, not as all.
        steps = zip(rows.unbind(dim=2), self.sizes, strict=True)
        return torch.cat([step[:, :size] for step, size in steps], dim=1)
