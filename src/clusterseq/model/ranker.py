"""A trained model ready to answer: the catalogue is smoothed and scaled once, not at every call.

Knows nothing about: raw ids, training, which items may be recommended.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from clusterseq.evidence import Evidence
from clusterseq.histories import Histories
from clusterseq.model.catalogue import chunks, scores
from clusterseq.model.clusterseq import ClusterSeq


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
        self.prior = torch.log(model.cluster_sizes @ model.cluster_popularity + 1e-9)

    @torch.no_grad()
    def score(self, histories: Histories) -> Float[Tensor, "users items"]:
        """Adapt to every person and score the catalogue; rows don't influence each other.

        Without history the score is the clusters' popularity, weighted by their size.
        """
        histories = histories.last(self.model.config.max_steps)
        found = torch.empty(len(histories), self.n_items)
        for rows in chunks(len(histories), self.n_items):
            found[rows] = self._scores(histories[rows])
        found[histories.lengths == 0] = self.prior
        return found

    def _scores(self, histories: Histories) -> Float[Tensor, "users items"]:
        model = self.model
        evidence = None if model.memory is None else Evidence(model.memory, histories)
        wanted = model.preferences(histories, self.catalogue, evidence)
        spoken = None if evidence is None else evidence.spoken
        return scores(wanted, self.catalogue.items.columns, model.acuity, spoken)
