"""Made-up people of a few hidden types, whose best possible ranker is known exactly.

Each type walks a Markov chain of its own over a shared catalogue and never touches an item twice.
A type stays mostly on its own items; a small part of the catalogue belongs to everybody, and there
the types differ only in where they go next. Given somebody's items, Bayes' rule gives the
probability of each type, and with it of each next item: no ranker can do better on average.

Knows nothing about: models, training, files.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from clusterseq.data.sequences import Sequences

STRENGTHS = (0.45, 0.2, 0.1)
"""How likely a type's chain takes its favourite next items; the rest goes anywhere it lives."""
SHARED_WEIGHT = 0.5
"""How often a type touches a shared item, compared with one of its own."""


@dataclass(frozen=True, eq=False)
class People:
    """Sequences and the hidden type of everybody."""

    sequences: Sequences
    """What each touched, oldest first, each item once."""
    types: Int64[np.ndarray, " users"]
    """The type of each."""


@dataclass(frozen=True, eq=False)
class World:
    """The types, how common they are, and where each starts and goes."""

    shares: Float64[np.ndarray, " types"]
    """How many of the people are of each type."""
    starts: Float64[np.ndarray, "types items"]
    """Probability of the first item."""
    chains: Float64[np.ndarray, "types items items"]
    """Probability of the next item, before items touched are ruled out."""

    @classmethod
    def of(
        cls, shares: tuple[float, ...], own: int, shared: int, generator: np.random.Generator
    ) -> World:
        """Types with ``own`` items each, and ``shared`` items (the last ones) that all of them use.

        >>> world = World.of((0.75, 0.25), own=4, shared=2, generator=np.random.default_rng(0))
        >>> world.starts.round(2).tolist()[0]
        [0.2, 0.2, 0.2, 0.2, 0.0, 0.0, 0.0, 0.0, 0.1, 0.1]
        >>> world.chains.shape, bool(np.allclose(world.chains.sum(axis=2), 1))
        ((2, 10, 10), True)
        """
        n_items = own * len(shares) + shared
        starts = np.zeros((len(shares), n_items))
        chains = np.zeros((len(shares), n_items, n_items))
        for kind, (start, chain) in enumerate(zip(starts, chains, strict=True)):
            home = np.r_[kind * own : (kind + 1) * own, n_items - shared : n_items]
            start[home] = np.where(home < n_items - shared, 1.0, SHARED_WEIGHT)
            start /= start.sum()
            chain[:] = (1 - sum(STRENGTHS)) * start
            for item in range(n_items):
                favourites = generator.choice(home[home != item], len(STRENGTHS), replace=False)
                chain[item, favourites] += STRENGTHS
        return cls(np.asarray(shares), starts, chains)

    @property
    def n_items(self) -> int:
        """Size of the catalogue."""
        return int(self.starts.shape[1])

    def draw(
        self, users: int, shortest: int, longest: int, generator: np.random.Generator
    ) -> People:
        """People with ``shortest`` … ``longest`` items each; the types in proportion, shuffled.

        >>> world = World.of((0.75, 0.25), own=4, shared=2, generator=np.random.default_rng(0))
        >>> people = world.draw(4, 2, 3, np.random.default_rng(0))
        >>> sorted(people.types.tolist()), [len(items) for items in people.sequences]
        ([0, 0, 0, 1], [2, 2, 3, 3])
        """
        bounds = np.rint(np.cumsum(self.shares) * users).astype(np.int64)
        types = generator.permutation(np.searchsorted(bounds, np.arange(users), side="right"))
        rows = [
            self._walk(kind, int(generator.integers(shortest, longest + 1)), generator)
            for kind in types.tolist()
        ]
        return People(Sequences.from_rows(rows), types)

    def posterior(self, history: Int64[np.ndarray, " steps"]) -> Float64[np.ndarray, " types"]:
        """Probability of each type given what somebody touched (Bayes' rule).

        >>> world = World.of((0.75, 0.25), own=4, shared=2, generator=np.random.default_rng(0))
        >>> world.posterior(np.array([0, 9])).round(2).tolist(), world.posterior(np.array([8]))
        ([1.0, 0.0], array([0.75, 0.25]))
        """
        chances = self.shares.copy()
        for step, item in enumerate(history):
            chances = chances * self._next(history[:step])[:, item]
        posterior: Float64[np.ndarray, " types"] = chances / chances.sum()
        return posterior

    def best_scores(
        self, histories: Int64[np.ndarray, "users steps"]
    ) -> Float64[np.ndarray, "users items"]:
        """Probability of each next item: the ranking by it has the highest expected MRR."""
        return np.stack([self.posterior(history) @ self._next(history) for history in histories])

    def _next(self, history: Int64[np.ndarray, " steps"]) -> Float64[np.ndarray, "types items"]:
        """Every type's distribution of what comes after a history, items touched ruled out."""
        chances = self.chains[:, history[-1]].copy() if len(history) else self.starts.copy()
        chances[:, history] = 0
        normal: Float64[np.ndarray, "types items"] = chances / chances.sum(axis=1, keepdims=True)
        return normal

    def _walk(
        self, kind: int, steps: int, generator: np.random.Generator
    ) -> Int64[np.ndarray, " steps"]:
        history = np.empty(0, dtype=np.int64)
        for _ in range(steps):
            chances = self._next(history)[kind]
            history = np.append(history, generator.choice(self.n_items, p=chances))
        return history
