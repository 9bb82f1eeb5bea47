"""The rankings of whoever was served last, for when they ask again.

They lie in memory of their own. Kept where they were made, among the numbers of a batch, each would
hold on to its page: the next one finds no room between them and takes more, so that a service would
grow by a tenth, and lose a millisecond here and there to the system's handing out of memory.

Knows nothing about: who asks, engines, what a key means.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import replace

import numpy as np

from clusterseq.service.ranking import DEPTH, Ranking


class RankingCache:
    """At most so many rankings; the one that wasn't asked for the longest gives way.

    >>> remembered = RankingCache(1)
    >>> best = Ranking(np.array([7], np.int32), np.array([0.5], np.float32), True, [], None)
    >>> remembered.keep("ann", best)
    >>> remembered.recall("ann").items
    array([7], dtype=int32)
    >>> remembered.keep("bob", best)
    >>> remembered.recall("ann") is None
    True
    """

    def __init__(self, most: int) -> None:
        self._items = np.zeros((most, DEPTH), dtype=np.int32)
        self._scores = np.zeros((most, DEPTH), dtype=np.float32)
        self._entries: OrderedDict[Hashable, tuple[int, Ranking]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def recall(self, key: Hashable) -> Ranking | None:
        """A copy of what was kept, since its place may be another's before it has been read."""
        if key not in self._entries:
            return None
        self._entries.move_to_end(key)
        _, ranking = self._entries[key]
        return replace(ranking, items=ranking.items.copy(), scores=ranking.scores.copy())

    def keep(self, key: Hashable, ranking: Ranking) -> None:
        """Remember a ranking of at most ``DEPTH`` items."""
        row, depth = self._row_for(key), len(ranking.items)
        items, scores = self._items[row, :depth], self._scores[row, :depth]
        items[:], scores[:] = ranking.items, ranking.scores
        self._entries[key] = row, replace(ranking, items=items, scores=scores)

    def forget(self) -> None:
        """Remember nothing any more."""
        self._entries.clear()

    def _row_for(self, key: Hashable) -> int:
        if key in self._entries:
            return self._entries.pop(key)[0]
        if len(self._entries) < len(self._items):
            return len(self._entries)
        return self._entries.popitem(last=False)[1][0]
