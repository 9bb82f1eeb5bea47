"""A trained model ready to answer: the catalogue is smoothed and scaled once, not at every call.

Knows nothing about: raw ids, training, which items may be recommended.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from clusterseq.histories import Histories
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.head import Pointer

SCORES_AT_ONCE = 1_000_000
"""Bound on people × items of one product, so that its results are still in a cache when read."""


class Ranker:
    """What a model knows now; it does not follow if the model is trained further.

    >>> from clusterseq.config import ModelConfig
    >>> ranker = Ranker(ClusterSeq(ModelConfig(n_items=50, dim=8)))
    >>> ranker.score(Histories.from_lists([[3, 14], []])).shape
    torch.Size([2, 50])
    """

    needs_history = False

    @torch.no_grad()
    def __init__(self, model: ClusterSeq) -> None:
        self.model, self.n_items = model, model.n_items
        self.catalogue = model.catalogue()
        # A trait counts as one more dimension of an item, so that one product makes all of a score.
        everything = [self.catalogue.items.vectors, self.catalogue.items.traits]
        self.columns = torch.cat(everything, dim=1).T
        self.prior = torch.log(model.cluster_sizes @ model.cluster_popularity + 1e-9)

    @torch.no_grad()
    def score(self, histories: Histories) -> Float[Tensor, "users items"]:
        """Adapt to every person and score the catalogue; rows don't influence each other.

        Without history the score is the clusters' popularity, weighted by their size.
        """
        histories = histories.last(self.model.config.max_steps)
        found = torch.empty(len(histories), self.n_items)
        at_once = max(1, SCORES_AT_ONCE // self.n_items)
        for start in range(0, len(histories), at_once):
            rows = slice(start, start + at_once)
            self._score_into(found[rows], histories[rows])
        found[histories.lengths == 0] = self.prior
        return found

    def _score_into(self, scores: Float[Tensor, "users items"], part: Histories) -> None:
        """``ClusterSeq.logits`` of some people, written to where they belong."""
        model, items = self.model, self.catalogue.items
        queries = model.encode(part, self.catalogue.table)
        theta = model.adapted(part, queries, self.catalogue, model.memory)
        last = (part.lengths - 1).clamp_min(0)
        pointed = Pointer(theta, queries[torch.arange(len(part)), last][:, None], items).vectors[
            :, 0
        ]
        asked = torch.cat([torch.exp(theta["sharpness"]) * pointed, theta["popularity"]], dim=1)
        torch.mm(asked, self.columns, out=scores)
        if model.memory is None or model.acuity is None:
            return
        flat = scores.view(-1)
        for kind, (cells, said) in enumerate(model.memory.spoken_for(part)):
            trust = theta["trust"][:, kind][cells // self.n_items]
            heard = torch.log1p(torch.exp(model.acuity[kind]) * said)
            flat.scatter_(0, cells, flat[cells] + trust * heard)
