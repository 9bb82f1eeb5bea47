"""A trained model ready to answer: the catalogue is smoothed and scaled once, not at every call.

The best items of a few people are found by an index, where there is one: what the index finds and
what the memory speaks of, which is scored exactly. No other item can be better, but for what the
index has missed: it looks on until it has found enough items that the memory doesn't lower. For
many people at once one product with the whole catalogue is as fast.

Knows nothing about: raw ids, training, why an item may not be recommended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from clusterseq.data.evidence import Evidence, Spoken
from clusterseq.data.histories import Histories
from clusterseq.data.packing import Packing
from clusterseq.machine.compiler import compiled
from clusterseq.model.catalogue import Preferences, chunks, scores
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.index import Index
from clusterseq.model.retrieval import NOTHING, TopK, top_k

FEW_PEOPLE = 8
"""Up to so many people an index takes less time than a product with all items."""
FEW_ITEMS = 20_000
"""Up to so many allowed items are all scored."""
REFUSED_AT_MOST = 1_000
"""Refused items that an index can look beyond."""
FARTHER = 4
"""How many times as many items are looked for, if those found may not be enough."""
COMPILED = ((1, 1), (1, 2), (1, 3))
"""People and items of the histories that adaptation is compiled for."""


@dataclass(frozen=True)
class Adapted:
    """Some people as the model sees them, adapted to each and ready to be scored."""

    preferences: Preferences
    """What they look for."""
    spoken: Spoken | None
    """What the memory says to them."""
    unknown: Bool[Tensor, " users"]
    """Who has no history at all."""

    def alone(self, row: int, n_items: int) -> Adapted:
        """One of them, as if there were no other."""
        people, only = len(self.unknown), slice(row, row + 1)
        said = None if self.spoken is None else self.spoken.to_one(row, people, n_items)
        return Adapted(self.preferences[only], said, self.unknown[only])


class Ranker:
    """What a model knows now; it does not follow if the model is trained further.

    >>> from clusterseq.config import ModelConfig
    >>> ranker = Ranker(ClusterSeq(ModelConfig(n_items=50, dim=8)))
    >>> ranker.score(Histories.from_lists([[3, 14], []])).shape
    torch.Size([2, 50])
    """

    needs_history = False

    @torch.no_grad()
    def __init__(self, model: ClusterSeq, index: Index | None = None) -> None:
        self.model, self.n_items, self.index = model, model.n_items, index
        catalogue = model.catalogue()
        # Laid out dimension by dimension, a product with one person takes half as long; an index
        # makes products with single items, which lie together otherwise.
        columns = catalogue.items.columns
        columns = columns.contiguous() if index else columns.T.contiguous().T
        self.catalogue = replace(catalogue, items=replace(catalogue.items, columns=columns))
        self._compiled: Callable[[Histories, Tensor | None], Preferences] | None = None
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
        evidence = Evidence.of(model.memory, histories)
        heard = model.heard(histories, self.catalogue, evidence)
        if self._compiled is not None and steps is None and histories.items.shape in COMPILED:
            preferences = self._compiled(histories, heard)
        else:
            queries = model.encode(histories, self.catalogue.table)
            preferences = model.preferences(histories, queries, self.catalogue, heard, steps=steps)
        spoken = None if evidence is None else evidence.spoken
        return Adapted(preferences, spoken, histories.lengths == 0)

    @torch.inference_mode()
    def compile(self) -> None:
        """Compile how one person is adapted to who has touched one, two or three items.

        With many people at once products are most of the work, and gain nothing.

        Raises:
            ConfigError: this machine can't.
        """
        model, catalogue = self.model, self.catalogue

        def alone(histories: Histories, heard: Tensor | None) -> Preferences:
            packing = Packing.full(histories)
            queries = model.encode(histories, catalogue.table, packing=packing)
            return model.preferences(histories, queries, catalogue, heard)

        examples = []
        for shape in COMPILED:
            histories = Histories.from_lists(np.zeros(shape)).to(model.device)
            evidence = Evidence.of(model.memory, histories)
            examples.append((histories, model.heard(histories, catalogue, evidence)))
        fast = compiled(alone, examples)
        # Tensors that were made outside of inference mode would be compiled for anew.
        self._compiled = lambda histories, heard: fast(histories.clone(), heard)

    @torch.inference_mode()
    def scores(self, people: Adapted) -> Float[Tensor, "users items"]:
        """The scores of the whole catalogue."""
        columns, acuity = self.catalogue.items.columns, self.model.acuity
        found = scores(people.preferences, columns, acuity, people.spoken)
        if bool(people.unknown.any()):
            found[people.unknown] = self.prior
        return found

    @torch.inference_mode()
    def best(
        self,
        people: Adapted,
        k: int,
        *,
        allowed: Sequence[Bool[Tensor, " items"] | None],
        refused: Sequence[Int64[np.ndarray, " _"]],
    ) -> TopK:
        """Everybody's best ``k`` items of those allowed (None: all) and not refused.

        Raises:
            ConfigError: ``k`` is below 1.
        """
        index = self.index
        if index is None or len(allowed) > FEW_PEOPLE or bool(people.unknown.any()) or k < 1:
            return self._all(people, k, allowed, refused)
        rows = [
            self._near(people, row, k, index, mask, gone)
            for row, (mask, gone) in enumerate(zip(allowed, refused, strict=True))
        ]
        if any(row is None for row in rows):
            return self._all(people, k, allowed, refused)
        found = [row for row in rows if row is not None]
        return TopK(
            torch.cat([row.items for row in found]), torch.cat([row.scores for row in found])
        )

    def _all(
        self,
        people: Adapted,
        k: int,
        allowed: Sequence[Bool[Tensor, " items"] | None],
        refused: Sequence[Int64[np.ndarray, " _"]],
    ) -> TopK:
        """The same by scores of all items."""
        scores = self.scores(people)
        for row, mask in enumerate(allowed):
            if mask is not None:
                scores[row].masked_fill_(~mask.to(scores.device), -torch.inf)
        rows = np.repeat(np.arange(len(refused)), [len(gone) for gone in refused])
        if len(rows):
            gone = rows * self.n_items + np.concatenate(refused)
            scores.view(-1)[torch.from_numpy(gone).to(scores.device)] = -torch.inf
        return top_k(scores, k).cpu()

    def _near(
        self,
        people: Adapted,
        row: int,
        k: int,
        index: Index,
        allowed: Bool[Tensor, " items"] | None,
        refused: Int64[np.ndarray, " _"],
    ) -> TopK | None:
        """The same of one person by the index; None where it doesn't reach so far."""
        one = people.alone(row, self.n_items)
        shut = 0 if allowed is None else int((~allowed).sum())
        if shut > REFUSED_AT_MOST:
            if allowed is None or self.n_items - shut > FEW_ITEMS:
                return None
            items = allowed.nonzero()[:, 0]
        else:
            items = self._nearest(one, k + shut + len(refused), index)
            if allowed is not None:
                items = items[allowed[items]]
        items = items[~torch.isin(items, torch.from_numpy(refused))]
        if not len(items) or (len(items) < k and shut <= REFUSED_AT_MOST):
            return None
        scores = self._scores_of(one, items)
        best = top_k(scores[None], k)
        places = best.items[0]
        named = torch.where(places == NOTHING, NOTHING, items[places.clamp_min(0)])
        missing = min(k, self.n_items) - len(named)
        return TopK(
            torch.nn.functional.pad(named, (0, missing), value=NOTHING)[None],
            torch.nn.functional.pad(best.scores[0], (0, missing), value=-torch.inf)[None],
        )

    def _nearest(self, one: Adapted, wanted: int, index: Index) -> Int64[Tensor, " some"]:
        """All items that can be among so many best of one person, ascending."""
        queries, said = one.preferences.queries.numpy(), one.spoken
        lowers = said is not None and bool((one.preferences.trust < 0).any())
        reach = min(self.n_items, wanted)
        while True:
            found = torch.from_numpy(index.nearest(queries, reach)[0])
            near = found[found >= 0]
            if said is None:
                return near.sort().values
            # What lies farther is beaten by each of these that the memory doesn't lower.
            sure = near[~torch.isin(near, said.cells)] if lowers else near
            if len(sure) >= wanted or len(near) < reach or reach == self.n_items:
                items: Tensor = torch.unique(torch.cat([near, said.cells]))  # ascending
                return items
            reach = min(self.n_items, FARTHER * reach)

    def _scores_of(self, one: Adapted, items: Int64[Tensor, " some"]) -> Float[Tensor, " some"]:
        """One person's scores of some items, in ascending order."""
        query, trust = one.preferences.queries[0], one.preferences.trust[0]
        said, acuity = one.spoken, self.model.acuity
        found = self.catalogue.items.columns[items] @ query
        if said is None or acuity is None:
            return found
        places = torch.searchsorted(items, said.cells).clamp_max(len(items) - 1)
        there = items[places] == said.cells
        heard = torch.log1p(acuity.exp()[said.owners] * said.said)
        return found.index_add(
            0, places[there], (trust[said.owners] * heard)[there].to(found.dtype)
        )
