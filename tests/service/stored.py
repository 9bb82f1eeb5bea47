"""Events for the tests of history stores, and ids to torment them with."""

from __future__ import annotations

from collections.abc import Callable

from clusterseq.service.store import Event, HistoryStore

HOSTILE = [
    *("12", "Ünïcødé 日本 🛒", "two words", " ", "a:b", "{a}", "}", "}{", "{", "a}:events", "%7D"),
    *("x" * 10_000, "nul\0", "nul\0more", "\ud800", "'; DROP TABLE events; --", "*", "\n"),
]
"""Ids that have broken somebody's store; none is another one's beginning by chance alone."""


def events(*times: float, start: int = 0) -> list[Event]:
    """Events at the times given, with ids and items by their place in the list."""
    return [Event(f"e{n}", f"i{n}", time) for n, time in enumerate(times, start)]


def ids(store: HistoryStore, user: str = "ann") -> list[str]:
    return [event.id for event in store.history(user)]


def calls(store: HistoryStore) -> list[Callable[[], object]]:
    """All that needs a living store."""
    return [
        store.ping,
        lambda: store.append("ann", events(1.0)),
        lambda: store.history("ann"),
        lambda: store.erase("ann"),
    ]
