"""A model at work: rankings for some people at once, and what to say where there is no time.

Knows nothing about: HTTP, waiting, users.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32
from torch import Tensor

from clusterseq.data.histories import Histories
from clusterseq.errors import CheckpointError
from clusterseq.learning.checkpoint import Checkpoint, load_checkpoint
from clusterseq.machine.directory import current_path
from clusterseq.model.adapted import Adapted
from clusterseq.model.index import Index
from clusterseq.model.ranker import Ranker
from clusterseq.model.retrieval import NOTHING, top_k
from clusterseq.reading.vocab import UNKNOWN, RawId
from clusterseq.service.heap import trim_heap
from clusterseq.service.item_search import ItemSearch
from clusterseq.service.ranking import DEPTH, Ranking
from clusterseq.using.atlas import Atlas
from clusterseq.using.explanation import explain
from clusterseq.using.recommender import unknown_items

POINTS = 2_000
"""Items on the map."""
TYPICAL = 8
"""Items that stand for a cluster."""
UNNAMED = "unsaved"

Codes = tuple[int, ...]
"""A history as item indices, oldest first."""


@dataclass(frozen=True)
class Person:
    """Somebody to rank for."""

    codes: Codes
    """The items they touched that the model knows, the newest last."""
    steps: int | None = None
    """Steps of the inner loop; None for all."""
    allowed: Bool[Tensor, " items"] | None = None
    """The items to choose from; None for all."""
    refused: frozenset[int] = frozenset()
    """Items that are left out; a ranking of all can be filtered later."""


class Engine:
    """A loaded model; a service that gets a new one makes a new engine."""

    def __init__(self, checkpoint: Checkpoint, name: str, index: Index | None = None) -> None:
        self.checkpoint, self.name = checkpoint, name
        self.items, self.n_items = checkpoint.items, len(checkpoint.items)
        self.ids = checkpoint.items.ids  # a list answers single questions faster than a column
        self.version = checkpoint.content[:12] or UNNAMED
        self.ranker = Ranker(checkpoint.model, index)
        self.atlas = Atlas(checkpoint.model, checkpoint.item_counts)

    @classmethod
    def load(cls, directory: str | Path, at_once: int, *, compiled: bool = False) -> Engine:
        """Load a checkpoint, to do nothing but serve, and make it ready for batches of so many.

        Raises:
            CheckpointError: it is missing, damaged or of another version, or scores aren't finite.
            ConfigError: it should be compiled, and can't be.
        """
        checkpoint = load_checkpoint(directory)
        index = Index.load(current_path(directory), checkpoint.content)
        engine = cls(checkpoint, Path(directory).resolve().name, index)
        checkpoint.model.settle()
        if compiled:
            engine.ranker.compile()
        trim_heap()
        if not all(np.isfinite(ranking.scores).all() for ranking in engine.rehearse(at_once)):
            message = f"{directory}: its scores aren't finite; take the model before, or train anew"
            raise CheckpointError(message)
        return engine

    def rehearse(self, at_once: int) -> list[Ranking]:
        """Do once what is slow or takes memory at first use, so that nobody waits for it later.

        The largest batch is ranked, so that no later one takes more memory than is taken: else a
        service would grow for hours, by a step at each batch larger than all before it. What is
        popular is for moments of too much to do, and is made before there are any.
        """
        self.items.encode(self.ids[:1])
        _ = self.item_search, self.card, self.points, self._norms
        longest = self.checkpoint.model.config.max_steps
        codes = np.resize(np.arange(self.n_items), (at_once, longest)).tolist()
        largest = self.rank([Person(tuple(history)) for history in codes])
        return [*largest, *self.rank([Person((0,) * 3), Person(())]), self.popular]

    @property
    def inner_steps(self) -> int:
        """How many steps the inner loop has."""
        return self.checkpoint.config.model.steps_taken

    @cached_property
    def popular(self) -> Ranking:
        """What everybody touches, for whoever can't be adapted to in time."""
        counts = torch.from_numpy(self.checkpoint.item_counts.astype(np.float32))
        best = top_k(counts[None], self.n_items)
        items, scores = best.items[0].int().numpy(), best.scores[0].numpy()
        return Ranking(items, scores, True, [], None)

    def codes(self, history: Sequence[RawId]) -> tuple[Codes, list[RawId]]:
        """The known items of a history, and what the model doesn't know, once each."""
        codes = self.items.encode(history)
        return tuple(codes[codes != UNKNOWN].tolist()), list(unknown_items(history, codes))

    @cached_property
    def item_search(self) -> ItemSearch:
        """The catalogue, to be searched."""
        return ItemSearch(self.items, self.checkpoint.titles, self.checkpoint.item_counts)

    @cached_property
    def card(self) -> dict[str, Any]:
        """What there is to know of the model and its clusters, as JSON holds it."""
        origin, model = self.checkpoint.provenance, self.checkpoint.model
        clusters = zip(
            model.cluster_sizes.tolist() if model.config.clustering else [],
            self.atlas.typical(TYPICAL).tolist(),
            self.atlas.centres().tolist(),
            strict=False,
        )
        return {
            "version": self.version,
            "name": self.name,
            "items": self.n_items,
            "known_users": origin.known_users,
            "events": origin.events,
            "inner_steps": self.inner_steps,
            "clusters": [
                {
                    "id": cluster,
                    "size": size,
                    "typical": [self._name(item) for item in typical],
                    "position": position,
                }
                for cluster, (size, typical, position) in enumerate(clusters)
            ],
            "metrics": dict(self.checkpoint.metrics),
        }

    @cached_property
    def points(self) -> list[list[float]]:
        """Popular items on the map: x, y, and the cluster of who touches them alone."""
        items, positions = self.atlas.items(POINTS)
        clusters = self.atlas.clusters_of(items).tolist()
        return [
            [round(x, 4), round(y, 4), float(cluster)]
            for (x, y), cluster in zip(positions.tolist(), clusters, strict=True)
        ]

    def title(self, item: int) -> str | None:
        """What an item is called."""
        titles = self.checkpoint.titles
        return None if titles is None else titles[item]

    def whys(
        self, items: Sequence[int], codes: Codes, steps: int | None = None
    ) -> list[dict[str, Any]]:
        """Why each of some items is recommended to somebody, as JSON holds it."""
        read = [self._name(code) for code in codes[-self.checkpoint.model.config.max_steps :]]
        nearest = self._nearest(items, codes) if codes else [None] * len(items)
        explanations = explain(self.ranker, codes, items, steps=steps)
        return [
            {
                "parts": {name: round(value, 6) for name, value in why.parts.items()},
                "history": [
                    {**named, "gain": round(gain, 6), "attention": attention}
                    for named, gain, attention in zip(
                        read, why.gains, why.attention or [None] * len(read), strict=True
                    )
                ],
                "nearest": near,
            }
            for why, near in zip(explanations, nearest, strict=True)
        ]

    @torch.no_grad()
    def _nearest(self, items: Sequence[int], codes: Codes) -> list[dict[str, Any]]:
        """The item of a history that is nearest to each of some items, by the table's cosine."""
        history = list(dict.fromkeys(codes))
        near = self._directions(items) @ self._directions(history).T
        best = near.max(dim=1)
        return [
            self._named(history[index], similarity)
            for index, similarity in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]

    @torch.no_grad()
    def similar(self, item: int, k: int) -> list[dict[str, Any]]:
        """The items nearest to one, by the table's cosine."""
        near = self.ranker.catalogue.table @ self._directions([item])[0] / self._norms
        near[item] = -torch.inf
        best = top_k(near[None], min(k, self.n_items))
        pairs = zip(best.items[0].tolist(), best.scores[0].tolist(), strict=True)
        return [self._named(other, score) for other, score in pairs if other not in (NOTHING, item)]

    @cached_property
    @torch.no_grad()
    def _norms(self) -> Float32[Tensor, " items"]:
        """The length of each item's vector."""
        norms: Tensor = torch.linalg.vector_norm(self.ranker.catalogue.table, dim=1)
        return norms.clamp_min(1e-12)

    def _directions(self, items: Sequence[int]) -> Float32[Tensor, "items width"]:
        rows = self.ranker.catalogue.table[torch.as_tensor(items)]
        return torch.nn.functional.normalize(rows, dim=1)

    def _named(self, item: int, similarity: float) -> dict[str, Any]:
        return {**self._name(item), "similarity": round(similarity, 6)}

    def _name(self, item: int) -> dict[str, Any]:
        return {"item": self.ids[item], "title": self.title(item)}

    @torch.inference_mode()
    def rank(self, people: Sequence[Person]) -> list[Ranking]:
        """Adapt to people and rank the catalogue for each; the work of one go."""
        results: list[Ranking | None] = [None] * len(people)
        for steps in dict.fromkeys(person.steps for person in people):
            indices = [index for index, person in enumerate(people) if person.steps == steps]
            for rows in self.ranker.parts(len(indices)):
                chunk = indices[rows]
                rankings = self._ranked([people[index] for index in chunk], steps)
                for index, ranking in zip(chunk, rankings, strict=True):
                    results[index] = ranking
        return [ranking for ranking in results if ranking is not None]

    def _ranked(self, people: Sequence[Person], steps: int | None) -> list[Ranking]:
        newest = self.checkpoint.model.config.max_steps
        histories = Histories.from_lists([person.codes[-newest:] for person in people])
        started = time.perf_counter()
        adapted = self.ranker.adapt(histories, steps)
        shares, positions = self._seen(histories)
        middle = time.perf_counter()
        items, scores, complete = self._best(adapted, people)
        ended = time.perf_counter()
        timings = {"adapt_ms": 1000 * (middle - started), "score_ms": 1000 * (ended - middle)}
        return [
            Ranking(items[row], scores[row], complete[row], shares[row], positions[row], **timings)
            for row in range(len(people))
        ]

    def _seen(
        self, histories: Histories
    ) -> tuple[list[list[float]], list[tuple[float, float] | None]]:
        """Cluster shares, and places on the map; nothing for a model without clusters."""
        model = self.checkpoint.model
        if not model.config.clustering:
            return [[]] * len(histories), [None] * len(histories)
        positions = self.atlas.people(histories).tolist()
        return model.assign(histories).tolist(), [(x, y) for x, y in positions]

    def _best(
        self, adapted: Adapted, people: Sequence[Person]
    ) -> tuple[list[np.ndarray], list[np.ndarray], list[bool]]:
        best = self.ranker.best(
            adapted,
            min(DEPTH, self.n_items),
            allowed=[person.allowed for person in people],
            refused=[np.fromiter(person.refused, np.int64) for person in people],
        )
        masks = [items != NOTHING for items in best.items]
        complete = [self.n_items <= DEPTH or not bool(mask.all()) for mask in masks]
        items = [row[mask].int().numpy() for row, mask in zip(best.items, masks, strict=True)]
        scores = [row[mask].numpy() for row, mask in zip(best.scores, masks, strict=True)]
        return items, scores, complete
