"""The k best items of each person: exact, and the same at every run.

Items of equal score stand in the order of their indices, lower first.

Knows nothing about: models, raw ids, why an item may not be recommended.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from clusterseq.errors import ConfigError

NOTHING = -1
"""Fills a row past the last item that may be recommended."""
SHORT = 256
"""Rows up to so long are sorted whole, which is a single step."""
NARROWEST = 32
"""In rows so short that blocks would be narrower, they gain nothing."""


@dataclass(frozen=True, eq=False)
class TopK:
    """One row per person, best first."""

    items: Int64[Tensor, "users k"]
    """Item indices, -1 where no more items may be recommended."""
    scores: Float[Tensor, "users k"]
    """Their scores, -inf where there is no item."""

    def cpu(self) -> TopK:
        """The same in the memory of the processor."""
        return TopK(self.items.cpu(), self.scores.cpu())


def top_k(
    scores: Float[Tensor, "users items"],
    k: int,
) -> TopK:
    """The ``k`` highest scores of each row, at most the catalogue; -inf isn't recommended.

    Raises:
        ConfigError: ``k`` is below 1.

    >>> none = -torch.inf
    >>> scores = torch.tensor([[0.5, 0.9, 0.5, 0.1], [none, none, 0.5, none]])
    >>> top_k(scores, 2).items.tolist()
    [[1, 0], [2, -1]]
    """
    if k < 1:
        raise ConfigError(f"k = {k} recommends nothing; ask for 1 or more")
    k = min(k, scores.shape[1])
    if scores.shape[1] <= SHORT:
        best, items = (part[:, :k] for part in scores.sort(dim=1, descending=True, stable=True))
        return TopK(items.masked_fill(best == -torch.inf, NOTHING), best)
    values, items = _highest(scores, min(k + 1, scores.shape[1]))
    # Any of the items tied at the edge may have been taken; only those rows need a full sort.
    edge = values[:, k - 1]
    tied = (values[:, k:] == edge[:, None]).any(dim=1) & (edge > -torch.inf)
    items = items[:, :k]
    if tied.any():
        items[tied] = scores[tied].argsort(dim=1, descending=True, stable=True)[:, :k]
    items = items.sort(dim=1).values
    best, order = scores.gather(1, items).sort(dim=1, descending=True, stable=True)
    items = items.gather(1, order)
    return TopK(items.masked_fill(best == -torch.inf, NOTHING), best)


def _highest(
    scores: Float[Tensor, "users items"], k: int
) -> tuple[Float[Tensor, "users k"], Int64[Tensor, "users k"]]:
    """The ``k`` highest scores of each row, best first, and their places; ties stand anyhow.

    They lie in the ``k`` blocks with the highest maxima, and maxima take one look at each score.
    """
    users, items = scores.shape
    width = math.isqrt(items // k)  # about as many blocks as candidates
    if width < NARROWEST:
        return scores.topk(k)
    blocks = items // width
    maxima = scores[:, : blocks * width].view(users, blocks, width).amax(dim=2)
    starts = width * maxima.topk(k, sorted=False).indices
    offsets = torch.arange(width, device=scores.device)
    rest = torch.arange(blocks * width, items, device=scores.device).expand(users, -1)
    candidates = torch.cat([(starts[:, :, None] + offsets).flatten(1), rest], dim=1)
    values, indices = scores.gather(1, candidates).topk(k)
    return values, candidates.gather(1, indices)
