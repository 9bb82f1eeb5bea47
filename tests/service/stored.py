"""All that a test can ask of a store, to see what each call says when it fails."""

from __future__ import annotations

from collections.abc import Callable

from clusterseq.service.store import HistoryStore
from clusterseq.testing.stores import events


def calls(store: HistoryStore) -> list[Callable[[], object]]:
    """All that needs a living store."""
    return [
        store.ping,
        lambda: store.append("ann", events(1.0)),
        lambda: store.history("ann"),
        lambda: store.erase("ann"),
    ]
