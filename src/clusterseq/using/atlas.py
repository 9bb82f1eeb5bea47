"""What the clusters are, in words and on a map: typical items, and two dimensions of everything.

The map is the plane in which the representations of items vary most (principal components, each
item counted as often as it was touched). People stand in the same space as the items they touched,
so a person never seen has a place on it at once.

Knows nothing about: drawing, raw ids, the network.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from clusterseq.data.histories import Histories
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.retrieval import top_k

LIFTED = 50
"""Events added to an item's count before its lift in a cluster is believed."""


class Atlas:
    """A map of a trained model's clusters, items and people."""

    def __init__(self, model: ClusterSeq, item_counts: Int64[np.ndarray, " items"]) -> None:
        self.model = model
        self.counts = torch.from_numpy(np.asarray(item_counts, dtype=np.float32))
        self._items = torch.zeros(model.n_items, 2)
        self._axes: Tensor | None = None
        if model.clusters is not None:
            rows = torch.nn.functional.normalize(model.profiles, dim=1)
            self._axes, self._reach = _plane(rows, self.counts)
            self._items = self._placed(rows)

    @torch.no_grad()
    def people(self, histories: Histories) -> Float[Tensor, "users 2"]:
        """Where people stand, within −1 … 1; somebody without history stands in the middle."""
        if self._axes is None:
            return torch.zeros(len(histories), 2)
        return self._placed(self.model.represent(histories))

    def items(self, most: int) -> tuple[Int64[Tensor, " shown"], Float[Tensor, "shown 2"]]:
        """The items touched most, and where they stand."""
        shown = self.counts.argsort(descending=True, stable=True)[:most]
        return shown, self._items[shown]

    @torch.no_grad()
    def clusters_of(self, items: Int64[Tensor, " shown"]) -> Int64[Tensor, " shown"]:
        """The cluster of somebody who has touched just that one item."""
        if self.model.clusters is None:
            return torch.zeros_like(items)
        alone = Histories(items[:, None], torch.ones_like(items))
        return self.model.assign(alone).argmax(dim=1)

    def centres(self) -> Float[Tensor, "clusters 2"]:
        """Where somebody stands who has touched all that a cluster's people have."""
        if self.model.clusters is None:
            return torch.zeros(1, 2)
        touched = self.model.cluster_popularity @ self.model.profiles
        return self._placed(torch.nn.functional.normalize(touched, dim=1))

    def typical(self, k: int) -> Int64[Tensor, "clusters k"]:
        """The items of each cluster that are touched there more than elsewhere, and often.

        By share times lift: the share of the cluster's events, and how many times the overall one
        it is, with some events of doubt.
        """
        within = self.model.cluster_popularity
        overall = self.model.cluster_sizes @ within
        doubt = LIFTED / max(1.0, float(self.counts.sum()))
        lift = (within + doubt * overall.mean()) / (overall + doubt)
        return top_k(within * lift, k).items

    def _placed(self, rows: Float[Tensor, "n dim"]) -> Float[Tensor, "n 2"]:
        assert self._axes is not None, "without clusters nobody has a place"
        return (rows @ self._axes / self._reach).clamp(-1, 1)


def _plane(
    rows: Float[Tensor, "items dim"], counts: Float[Tensor, " items"]
) -> tuple[Float[Tensor, "dim 2"], Float[Tensor, ""]]:
    """Two axes, and how far from the middle most items stand on them."""
    weighted = rows * (counts.sqrt() + 1e-3)[:, None]
    _, vectors = torch.linalg.eigh(weighted.T @ weighted)
    axes = vectors[:, -2:].flip(1)
    if axes.shape[1] < 2:  # a single dimension has no second axis
        axes = torch.nn.functional.pad(axes, (0, 2 - axes.shape[1]))
    # An axis may point either way; the largest coordinate decides, so that maps can be compared.
    signs = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True)).sign()
    axes = torch.where(signs == 0, axes, axes * signs)
    # (PyTorch's own quantile takes no more than 2²⁴ numbers.)
    reach = np.quantile((rows @ axes).abs().numpy(), 0.995) if len(rows) else 1.0
    return axes, torch.tensor(max(float(reach), 1e-9))
