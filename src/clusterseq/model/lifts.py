"""What clusters say for items: how much more than other people theirs touch an item (its *lift*).

The lift of an item in a cluster is log p(item | cluster) − log p(item), as in association rules. A
person's own is the mean over clusters, by how much they belong to each, times an *affinity* that
newcomers fit: θ_u gains affinity · p_u in as many places as there are clusters, and the lifts are
as many more traits of the items. So clusters condition θ also where meta-training is refused.

Knows nothing about: how people are assigned, what else speaks for an item.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

SHRINKAGE = 10
"""Events added to those of an item, in a cluster and in all: of few events nothing is lifted."""


class Lifts(nn.Module):
    """Every item's lift in every cluster, and how far to trust it.

    >>> lifts = Lifts(n_items=2, clusters=2)
    >>> lifts.measure(torch.tensor([[1.0, 0.0], [0.5, 0.5]]), torch.tensor([0.5, 0.5]), events=100)
    >>> lifts.table  # the first item is touched by the first cluster, the second by the other one
    tensor([[ 0.2578, -0.3483],
            [-1.2528,  0.5390]])
    """

    table: Float[Tensor, "items clusters"]

    def __init__(self, n_items: int, clusters: int) -> None:
        super().__init__()
        self.register_buffer("table", torch.zeros(n_items, clusters))
        self.affinity = nn.Parameter(torch.zeros(1))

    @property
    def measured(self) -> bool:
        """Whether there is anything to trust."""
        return bool(self.table.any())

    @torch.no_grad()
    def measure(
        self,
        popularity: Float[Tensor, "clusters items"],
        sizes: Float[Tensor, " clusters"],
        events: int,
    ) -> None:
        """Take the lifts from what each cluster touches (rows add up to 1), and all of them do."""
        overall = sizes @ popularity
        lifts = torch.log((events * popularity + SHRINKAGE) / (events * overall + SHRINKAGE))
        self.table.copy_(lifts.T)

    @torch.no_grad()
    def silence(self) -> None:
        """Say nothing, for anything, from now on."""
        self.table.zero_()
        self.affinity.zero_()

    def forward(
        self,
        theta: Float[Tensor, "users size"],
        shares: Float[Tensor, "users clusters"],
        behind: int,
    ) -> Float[Tensor, "users size"]:
        """Everybody's θ, where each cluster's lifts count by how much somebody belongs to it.

        ``behind`` is how much of θ stands behind the lifts' places: the trust in the memory.
        """
        before = theta.shape[1] - shares.shape[1] - behind
        return theta + nn.functional.pad(self.affinity * shares, (before, behind))
