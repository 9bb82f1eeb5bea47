"""What some people can be recommended: how many items, and which.

Knows nothing about: scores' origin, raw ids, why an item may not be recommended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor


@dataclass(frozen=True)
class Choice:
    """For each person, what the best are to be taken from."""

    k: int
    """How many are wanted."""
    allowed: Sequence[Bool[Tensor, " items"] | None]
    """Each person's items to choose from; None for all."""
    refused: Sequence[Int64[np.ndarray, " _"]]
    """Each person's items that are not to be taken."""

    def __len__(self) -> int:
        return len(self.allowed)

    def of(self, row: int) -> Choice:
        """That of one person."""
        return Choice(self.k, self.allowed[row : row + 1], self.refused[row : row + 1])

    def left(self, scores: Float[Tensor, "users items"]) -> Float[Tensor, "users items"]:
        """Scores, in place, with −∞ for what can't be taken.

        >>> only = torch.tensor([False, True, True])
        >>> choice = Choice(1, [None, only], [np.array([0]), np.array([2])])
        >>> choice.left(torch.zeros(2, 3))
        tensor([[-inf, 0., 0.],
                [-inf, 0., -inf]])
        """
        for row, mask in enumerate(self.allowed):
            if mask is not None:
                scores[row].masked_fill_(~mask.to(scores.device), -torch.inf)
        rows = np.repeat(np.arange(len(self)), [len(items) for items in self.refused])
        if len(rows):
            cells = torch.from_numpy(rows * scores.shape[1] + np.concatenate(self.refused))
            scores.view(-1).index_fill_(0, cells.to(scores.device), -torch.inf)
        return scores
