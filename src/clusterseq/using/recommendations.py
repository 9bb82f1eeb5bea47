"""What is recommended to a person and why, in raw ids.

Knows nothing about: models, how recommendations come about.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from clusterseq.reading.vocab import RawId


@dataclass(frozen=True)
class Because:
    """What one item of a history has to do with one that is recommended."""

    item: RawId
    """The item touched."""
    gain: float
    """By how much it raises the recommended item's log-probability, in nats; below 0, lowers."""
    attention: float | None
    """Its share of the decoder's attention; None for a model that doesn't attend."""


@dataclass(frozen=True)
class Why:
    """Why an item is recommended (``explanation`` says how it is found)."""

    parts: Mapping[str, float]
    """What the score is the sum of: match, rules, sessions, popularity, freshness, clusters,
    adaptation."""
    history: tuple[Because, ...]
    """The items touched that the model reads, oldest first."""

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON holds it."""
        return {"parts": dict(self.parts), "history": [dict(vars(entry)) for entry in self.history]}


@dataclass(frozen=True)
class Recommendation:
    """One item for one person."""

    item: RawId
    """The item's raw id."""
    score: float
    """Comparable within one list only; higher is better."""
    title: str | None = None
    """What it is called, if the model was told."""
    why: Why | None = None
    """Why it is recommended, if that was asked."""


@dataclass(frozen=True)
class Recommendations:
    """What one person may like, best first."""

    items: tuple[Recommendation, ...]
    """At most as many as asked for."""
    ignored_items: tuple[RawId, ...]
    """Items of the history that the model doesn't know, once each."""
    cluster: int | None
    """The learnt cluster that the person belongs to most; None for a model without clusters."""

    @property
    def ids(self) -> list[RawId]:
        """The raw ids alone."""
        return [entry.item for entry in self.items]

    def __iter__(self) -> Iterator[Recommendation]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON holds it; a title and a reason only where there is one."""
        return {
            "items": [
                {"item": entry.item, "score": entry.score}
                | ({} if entry.title is None else {"title": entry.title})
                | ({} if entry.why is None else {"why": entry.why.to_dict()})
                for entry in self.items
            ],
            "cluster": self.cluster,
            "ignored_items": list(self.ignored_items),
        }
