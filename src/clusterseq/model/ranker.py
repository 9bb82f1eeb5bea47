"""A trained model ready to answer: the catalogue is smoothed and scaled once, not at every call.

Knows nothing about: raw ids, training, which items may be recommended.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from clusterseq.evidence import Evidence, Spoken
from clusterseq.histories import Histories
from clusterseq.model.catalogue import Preferences, chunks, scores
from clusterseq.model.clusterseq import ClusterSeq


@dataclass(frozen=True)
class Adapted:
    """Some people as the model sees them, adapted to each and ready to be scored."""

    preferences: Preferences
    """What they look for."""
    spoken: Spoken | None
    """What the memory says to them."""
    unknown: Bool[Tensor, " users"]
    """Who has no history at all."""


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
        catalogue = model.catalogue()
        # Laid out dimension by dimension, a product with one person takes half as long.
        columns = catalogue.items.columns.T.contiguous().T
        self.catalogue = replace(catalogue, items=replace(catalogue.items, columns=columns))
        self.prior = torch.log(model.cluster_sizes @ model.cluster_popularity + 1e-9)

    def score(self, histories: Histories) -> Float[Tensor, "users items"]:
        """Adapt to every person and score the catalogue; rows don't influence each other.

        Without history the score is the clusters' popularity, weighted by their size.
        """
        found = self.prior.new_empty(len(histories), self.n_items)
        for rows in chunks(len(histories), self.n_items, found.device):
            found[rows] = self.scores(self.adapt(histories[rows]))
        return found

    @torch.inference_mode()
    def adapt(self, histories: Histories, steps: int | None = None) -> Adapted:
        """Adapt to every person, by all steps of the inner loop or by the first few."""
        model = self.model
        histories = histories.to(model.device).last(model.config.max_steps)
        evidence = None if model.memory is None else Evidence(model.memory, histories)
        preferences = model.preferences(histories, self.catalogue, evidence, steps=steps)
        spoken = None if evidence is None else evidence.spoken
        return Adapted(preferences, spoken, histories.lengths == 0)

    @torch.inference_mode()
    def scores(self, people: Adapted) -> Float[Tensor, "users items"]:
        """The scores of the whole catalogue."""
        columns, acuity = self.catalogue.items.columns, self.model.acuity
        found = scores(people.preferences, columns, acuity, people.spoken)
        found[people.unknown] = self.prior
        return found
