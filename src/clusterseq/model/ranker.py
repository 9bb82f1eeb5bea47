"""A trained model ready to answer: the catalogue is smoothed and scaled once, not at every call.

On processors the best items are chosen by rough scores of all (``screen``), and those that can be
among the best are scored exactly. Of a few people they are found by an index, where there is one:
what the index finds and what the memory speaks of. No other item can be better, but for what the
index has missed: it looks on until it has found enough items that the memory doesn't lower.

Knows nothing about: raw ids, training, why an item may not be recommended.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from clusterseq.data.evidence import Evidence
from clusterseq.data.histories import Histories
from clusterseq.model.adapted import Adapted
from clusterseq.model.catalogue import chunks, scores, scores_of
from clusterseq.model.choice import Choice
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.index import Index
from clusterseq.model.one_person import SHAPES, OnePerson
from clusterseq.model.retrieval import NOTHING, TopK, top_k
from clusterseq.model.screen import Screen
from clusterseq.model.votes import Votes

RANKED_AT_ONCE = 2_500_000
"""Bound on people × items of one ranking."""
FEW_PEOPLE = 8
"""Up to so many people an index takes less time than a product with all items."""
FEW_ITEMS = 20_000
"""Up to so many allowed items are all scored."""
REFUSED_AT_MOST = 1_000
"""Refused items that an index can look beyond."""
FARTHER = 4
"""How many times as many items are looked for, if those found may not be enough."""
MARGIN = 32
"""Items looked at beyond those wanted, or as many as these, before it is known how many can be
among the best."""
AT_FIRST = 1.1
"""Items whose rough scores are within so many times what a score can be off of the k-th best are
scored exactly at first."""
FEW_ENOUGH = 8
"""Part of the catalogue that is scored exactly after rough scores of all; else all of it is."""


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
        self.catalogue = model.catalogue()
        self._one_person: OnePerson | None = None
        self.prior = torch.log(model.cluster_sizes @ model.cluster_popularity + 1e-9)

    @cached_property
    @torch.inference_mode()
    def screen(self) -> Screen | None:
        """The catalogue in eight bits, made at the first ranking; None where it gains nothing."""
        items = self.catalogue.items
        return Screen.of(items) if Screen.fits(items) else None

    @cached_property
    @torch.inference_mode()
    def _by_dimension(self) -> Float[Tensor, "items columns"]:
        """The items' columns, laid out so that a product with one person takes a third."""
        return self.catalogue.items.columns.T.contiguous().T

    def parts(self, people: int) -> Iterator[slice]:
        """Rows of people who are ranked together, so that memory is bounded.

        >>> from clusterseq.config import ModelConfig
        >>> ranker = Ranker(ClusterSeq(ModelConfig(n_items=100_000, dim=4)))
        >>> list(ranker.parts(30))
        [slice(0, 25, None), slice(25, 50, None)]
        """
        return chunks(people, self.n_items, self.prior.device, RANKED_AT_ONCE)

    def score(self, histories: Histories) -> Float[Tensor, "users items"]:
        """Adapt to every person and score the catalogue; rows don't influence each other.

        Without history the score is the clusters' popularity, weighted by their size.
        """
        all_scores = self.prior.new_empty(len(histories), self.n_items)
        for rows in chunks(len(histories), self.n_items, all_scores.device):
            all_scores[rows] = self.scores(self.adapt(histories[rows]))
        return all_scores

    @torch.inference_mode()
    def adapt(self, histories: Histories, steps: int | None = None) -> Adapted:
        """Adapt to every person, by all steps of the inner loop or by the first few."""
        model = self.model
        histories = histories.to(model.device).last(model.config.max_steps)
        if self._one_person is not None and steps is None and histories.items.shape in SHAPES:
            return self._one_person.adapted(histories)
        evidence = Evidence.of(model.memory, histories)
        support_evidence = model.support_evidence(histories, self.catalogue, evidence)
        queries = model.encode(histories, self.catalogue.table)
        preferences = model.preferences(
            histories, queries, self.catalogue, support_evidence, steps=steps
        )
        sparse = None if evidence is None else evidence.sparse
        return Adapted(preferences, sparse, histories.lengths == 0)

    def compile(self) -> None:
        """Compile how one person is adapted to who has touched one, two or three items, and how
        the catalogue is scored roughly for one; beyond 200,000 items nothing gains by it.

        Raises:
            ConfigError: this machine can't.
        """
        self._one_person = OnePerson.of(self.model, self.catalogue, self.screen)

    @torch.inference_mode()
    def scores(self, people: Adapted) -> Float[Tensor, "users items"]:
        """The scores of the whole catalogue."""
        alone = len(people.unknown) == 1
        columns = self._by_dimension if alone else self.catalogue.items.columns
        all_scores = scores(people.preferences, columns, self._votes(people))
        if bool(people.unknown.any()):
            all_scores[people.unknown] = self.prior
        return all_scores

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
        choice, top = Choice(k, allowed, refused), None
        few = k >= 1 and len(choice) <= FEW_PEOPLE
        if self.index is not None and few and not bool(people.unknown.any()):
            top = self._indexed(people, choice, self.index)
        if top is None and 1 <= k < self.n_items - max(k, MARGIN) and self.screen is not None:
            top = self._screened(people, choice, self.screen)
            if top is not None:
                self._fill_popular(people, choice, top)
        return self._all(people, choice) if top is None else top

    def _fill_popular(self, people: Adapted, choice: Choice, top: TopK) -> None:
        """Put in what is popular for whoever has no history."""
        for row in people.unknown.nonzero()[:, 0].tolist():
            best = top_k(choice.of(row).left(self.prior[None].clone()), choice.k)
            top.items[row], top.scores[row] = best.items[0], best.scores[0]

    def _all(self, people: Adapted, choice: Choice) -> TopK:
        """By scores of all items."""
        return top_k(choice.left(self.scores(people)), choice.k).cpu()

    def _screened(self, people: Adapted, choice: Choice, screen: Screen) -> TopK | None:
        """By exact scores of what can be among the best; None where that is too much."""
        k, queries, votes = choice.k, people.preferences.queries, self._votes(people)
        alone = self._one_person.rough if self._one_person and len(queries) == 1 else None
        rough, error = (alone or screen.scores)(queries)
        if not math.isfinite(float(error.max())):
            return None
        rough = choice.left(rough if votes is None else votes.added(rough))
        values, candidates = rough.topk(k + max(k, MARGIN))
        # Most rough scores are off by far less than they can be; what is beyond is looked at next.
        counts = (values >= values[:, k - 1 : k] - AT_FIRST * error[:, None]).sum(dim=1)
        n_exact = min(max(k, int(counts.max())), values.shape[1] - 1)
        items = candidates.masked_fill(values == -torch.inf, self.n_items)
        top = self._best_of(items[:, :n_exact], queries, votes, k)
        # What is farther from the exact k-th than it can be off is worse, or isn't there at all.
        threshold, next_score = top.scores[:, -1] - error, values[:, n_exact]
        rows = ((next_score >= threshold) & (next_score > -torch.inf)).nonzero()[:, 0]
        if not len(rows):
            return top
        rough = rough[rows]
        n_exact = max(k, int((rough >= threshold[rows, None]).sum(dim=1).max()))
        if n_exact > self.n_items // FEW_ENOUGH:
            return None
        values, candidates = rough.topk(n_exact)
        subset = None if votes is None else votes.of_some(rows, len(people.unknown), self.n_items)
        items = candidates.masked_fill(values == -torch.inf, self.n_items)
        rescored = self._best_of(items, queries[rows], subset, k)
        top.items[rows], top.scores[rows] = rescored.items, rescored.scores
        return top

    def _best_of(
        self,
        items: Int64[Tensor, "users some"],
        queries: Float[Tensor, "users columns"],
        votes: Votes | None,
        k: int,
    ) -> TopK:
        """Everybody's best of some items of their own; past the catalogue's end there is none."""
        items = items.sort(dim=1).values
        best = top_k(scores_of(items, queries, self.catalogue.items.columns, votes), k)
        best_items = items.gather(1, best.items.clamp_min(0)).masked_fill_(best.items < 0, NOTHING)
        return TopK(best_items, best.scores)

    def _indexed(self, people: Adapted, choice: Choice, index: Index) -> TopK | None:
        """By an index; None where it doesn't reach so far."""
        persons = (people.alone(row, self.n_items) for row in range(len(choice)))
        tops = [self._near(person, choice.of(row), index) for row, person in enumerate(persons)]
        present = [top for top in tops if top is not None]
        if len(present) < len(tops):
            return None
        return TopK(
            torch.cat([top.items for top in present]), torch.cat([top.scores for top in present])
        )

    def _near(self, person: Adapted, choice: Choice, index: Index) -> TopK | None:
        """The same of one person."""
        k, (allowed,), (refused,) = choice.k, choice.allowed, choice.refused
        n_excluded = 0 if allowed is None else int((~allowed).sum())
        passed_over = n_excluded + len(refused)
        if passed_over <= REFUSED_AT_MOST:
            items = self._nearest(person, k + passed_over, index)
            if allowed is not None:
                items = items[allowed[items]]
        elif allowed is not None and self.n_items - n_excluded <= FEW_ITEMS:
            items = allowed.nonzero()[:, 0]
        else:
            return None
        items = items[~torch.isin(items, torch.from_numpy(refused))]
        if not len(items) or (len(items) < k and passed_over <= REFUSED_AT_MOST):
            return None
        best = self._best_of(items[None], person.preferences.queries, self._votes(person), k)
        missing = min(k, self.n_items) - best.items.shape[1]
        return TopK(
            torch.nn.functional.pad(best.items, (0, missing), value=NOTHING),
            torch.nn.functional.pad(best.scores, (0, missing), value=-torch.inf),
        )

    def _nearest(self, person: Adapted, count: int, index: Index) -> Int64[Tensor, " some"]:
        """All items that can be among so many best of one person, ascending."""
        queries, evidence = person.preferences.queries.numpy(), person.evidence
        lowers = evidence is not None and bool((person.preferences.trust < 0).any())
        reach = min(self.n_items, count)
        while True:
            retrieved = torch.from_numpy(index.nearest(queries, reach)[0])
            near = retrieved[retrieved >= 0]
            if evidence is None:
                return near.sort().values
            # What lies farther is beaten by each of these that the memory doesn't lower.
            sure = near[~torch.isin(near, evidence.cells)] if lowers else near
            if len(sure) >= count or len(near) < reach or reach == self.n_items:
                items: Tensor = torch.unique(torch.cat([near, evidence.cells]))  # ascending
                return items
            reach = min(self.n_items, FARTHER * reach)

    def _votes(self, people: Adapted) -> Votes | None:
        """What the memory adds to the scores."""
        return Votes.of(people.preferences.trust, self.model.acuity, people.evidence)
