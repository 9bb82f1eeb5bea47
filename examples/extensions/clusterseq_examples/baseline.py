"""A baseline: what came right after the newest item, over all known people."""

from __future__ import annotations

import torch
from torch import Tensor

from clusterseq import Histories, Peer, Setting


class Successors:
    """Counts of next items, and popularity as if it were ``smoothing`` events more."""

    needs_history = True

    def __init__(self, setting: Setting, smoothing: float) -> None:
        self.n_items = setting.n_items
        counts = torch.zeros(self.n_items, self.n_items)
        for sequence in setting.known:
            items = torch.from_numpy(sequence).long()
            counts.index_put_((items[:-1], items[1:]), torch.tensor(1.0), accumulate=True)
        popularity = counts.sum(dim=0) / counts.sum()
        self.table = counts + smoothing * popularity

    def score(self, histories: Histories) -> Tensor:
        newest = histories.lengths.clamp_min(1) - 1
        return self.table[histories.items.gather(1, newest[:, None])[:, 0]]


PEER = Peer("successors", "What came right after.", Successors, {"smoothing": (0.1, 1.0, 10.0)})
