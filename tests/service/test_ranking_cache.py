"""Rankings that are remembered: which give way, and that nobody's is read as another's."""

from __future__ import annotations

import numpy as np
import pytest

from clusterseq.service.ranking import DEPTH, Ranking
from clusterseq.service.ranking_cache import RankingCache


def ranking(first: int, depth: int = 3) -> Ranking:
    items = np.arange(first, first + depth, dtype=np.int32)
    return Ranking(items, items.astype(np.float32)[::-1], True, [0.25, 0.75], (0.5, -0.5))


@pytest.mark.parametrize("depth", [0, 1, DEPTH])
def test_what_is_recalled_is_what_was_kept(depth: int) -> None:
    remembered, kept = RankingCache(2), ranking(5, depth)
    remembered.keep("ann", kept)
    remembered.keep("bob", ranking(1_000))
    found = remembered.recall("ann")
    assert found is not None
    assert found.items.tolist() == kept.items.tolist()
    assert found.scores.tolist() == kept.scores.tolist()
    assert (found.shares, found.position, found.complete) == ([0.25, 0.75], (0.5, -0.5), True)
    assert remembered.recall("eve") is None


def test_who_was_not_asked_for_the_longest_gives_way() -> None:
    remembered = RankingCache(2)
    remembered.keep("ann", ranking(10))
    remembered.keep("bob", ranking(20))
    remembered.recall("ann")
    remembered.keep("eve", ranking(30))
    found = [remembered.recall(who) for who in ("ann", "bob", "eve")]
    assert [each and each.items[0] for each in found] == [10, None, 30]
    assert len(remembered) == 2


def test_a_ranking_kept_anew_takes_no_second_place() -> None:
    remembered = RankingCache(2)
    for first in (10, 20, 30):
        remembered.keep("ann", ranking(first))
    remembered.keep("bob", ranking(40))
    found = [remembered.recall(who) for who in ("ann", "bob")]
    assert [each and each.items[0] for each in found] == [30, 40]


def test_what_is_being_read_is_not_written_over() -> None:
    remembered = RankingCache(1)
    remembered.keep("ann", ranking(10))
    read = remembered.recall("ann")
    remembered.keep("bob", ranking(20))
    assert read is not None
    assert read.items.tolist() == [10, 11, 12]


def test_nothing_is_known_of_what_was_forgotten() -> None:
    remembered = RankingCache(2)
    remembered.keep("ann", ranking(10))
    remembered.forget()
    remembered.keep("bob", ranking(20))
    assert remembered.recall("ann") is None
    assert len(remembered) == 1


def test_it_is_a_copy_so_that_the_memory_of_a_go_is_free() -> None:
    remembered, kept = RankingCache(1), ranking(10)
    remembered.keep("ann", kept)
    kept.items[:] = 0
    found = remembered.recall("ann")
    assert found is not None
    assert found.items.tolist() == [10, 11, 12]
