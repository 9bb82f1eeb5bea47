"""What every history store promises, whatever keeps the events.

Knows nothing about: SQLite, Redis, HTTP.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from clusterseq.reading.vocab import RawId
from clusterseq.service.store import Event, HistoryStore, Retention

HOSTILE = [
    "12",
    "Ünïcødé 日本 🛒",
    "two words",
    " ",
    "a:b",
    "{a}",
    "}",
    "}{",
    "{",
    "a}:events",
    "%7D",
    "x" * 10_000,
    "nul\0",
    "nul\0more",
    "\ud800",
    "'; DROP TABLE events; --",
    "*",
    "\n",
]
"""Ids that have broken somebody's store; none is another one's beginning by chance alone."""


@dataclass
class Place:
    """Where stores are opened, and how time passes there."""

    open: Callable[[Retention], HistoryStore]
    """A new handle; at first nothing is kept there."""
    wait: Callable[[float], None]
    """Let seconds pass: ``time.sleep``, or the hand of the store's clock."""
    shared: bool = True
    """Whether two handles see the same events, as those of several processes have to."""
    opened: list[HistoryStore] = field(default_factory=list)
    """The handles so far."""

    def store(self, length: int = 200, seconds: float = 1000.0) -> HistoryStore:
        """A handle."""
        self.opened.append(self.open(Retention(length, seconds)))
        return self.opened[-1]

    def close(self) -> None:
        """Close all handles."""
        for store in self.opened:
            store.close()


class StoreContract:
    """Name a subclass ``Test…`` and give it the fixture ``empty``."""

    @pytest.fixture
    def empty(self) -> Place:
        """Where nothing is kept yet."""
        raise NotImplementedError("give the fixture empty: a Place without events")

    @pytest.fixture
    def place(self, empty: Place, request: pytest.FixtureRequest) -> Place:
        """The same, tidied up afterwards."""
        # No yield: where types are checked, a generator is wrapped and isn't known as one.
        request.addfinalizer(empty.close)  # noqa: PT021
        return empty

    @pytest.fixture
    def store(self, place: Place) -> HistoryStore:
        """A handle."""
        return place.store()

    def test_it_is_a_history_store_that_answers(self, store: HistoryStore) -> None:
        assert isinstance(store, HistoryStore)
        store.ping()
        assert store.history("nobody") == []
        assert store.append("nobody", []) == 0
        assert store.erase("nobody") == 0

    def test_events_come_back_as_they_were(self, store: HistoryStore) -> None:
        given = [Event("a", "milk", 0.1 + 0.2), Event("b", 7, 1.7e9), Event("c", "7", 1.7e9 + 1e-6)]
        assert store.append("ann", given) == 3
        history = store.history("ann")
        assert history == given
        assert [type(event.item) for event in history] == [str, int, str]

    def test_order_is_by_time_however_they_arrive(self, store: HistoryStore) -> None:
        assert store.append("ann", events(5.0, -3.0, 10.0)) == 3
        assert store.append("ann", events(9.0, -20.0, start=3)) == 2
        assert ids(store) == ["e4", "e1", "e0", "e3", "e2"]

    def test_equal_times_keep_the_order_of_arrival(self, store: HistoryStore) -> None:
        names = [*"zaymb", *(f"n{n}" for n in range(12, 0, -1))]  # neither by id nor by digits
        for name in names:
            store.append("ann", [Event(name, name, 5.0)])
        assert ids(store) == names

    def test_an_id_counts_once(self, store: HistoryStore) -> None:
        first = Event("e", "milk", 1.0)
        assert store.append("ann", [first, Event("e", "tea", 2.0), Event("f", "jam", 3.0)]) == 2
        assert store.append("ann", [Event("e", "tea", 9.0), Event("g", "tea", 4.0)]) == 1
        assert ids(store) == ["e", "f", "g"]
        assert store.history("ann")[0] == first

    def test_users_have_ids_of_their_own(self, store: HistoryStore) -> None:
        assert store.append("ann", [Event("e", "milk", 1.0)]) == 1
        assert store.append("bob", [Event("e", "tea", 2.0)]) == 1
        assert store.history("ann") == [Event("e", "milk", 1.0)]
        assert store.history("bob") == [Event("e", "tea", 2.0)]

    def test_only_the_newest_stay(self, place: Place) -> None:
        store = place.store(length=3)
        assert store.append("ann", events(5.0, 1.0, 5.0, 5.0, 5.0)) == 5
        assert ids(store) == ["e2", "e3", "e4"]
        store.append("ann", [Event("late", "i", 4.0)])
        assert ids(store) == ["e2", "e3", "e4"]
        store.append("ann", [Event("new", "i", 6.0)])
        assert ids(store) == ["e3", "e4", "new"]

    def test_a_request_longer_than_the_cap_can_be_repeated(self, place: Place) -> None:
        store = place.store(length=3)
        long = events(*[5.0] * 10)
        assert store.append("ann", long) == 10
        before = store.history("ann")
        assert store.append("ann", long) == 0
        assert store.history("ann") == before

    def test_a_request_as_long_as_the_service_takes_can_be_repeated(self, place: Place) -> None:
        store = place.store(length=2)
        first = events(*[float(at) for at in range(1_000)])
        assert store.append("ann", first) == 1_000
        before = store.history("ann")
        assert store.append("ann", first[:20]) == 0
        assert store.history("ann") == before

    def test_a_cap_that_became_smaller_holds(self, place: Place) -> None:
        if not place.shared:
            pytest.skip("its handles share nothing")
        place.store(length=5).append("ann", events(1.0, 2.0, 3.0, 4.0, 5.0))
        smaller = place.store(length=2)
        smaller.append("ann", events(6.0, start=5))
        assert ids(smaller) == ["e4", "e5"]

    def test_a_user_expires(self, place: Place) -> None:
        store = place.store(seconds=0.2)
        assert store.append("ann", events(1.0, 2.0)) == 2
        place.wait(0.25)
        assert store.history("ann") == []
        assert store.erase("ann") == 0
        assert store.append("ann", events(1.0)) == 1
        place.wait(0.25)
        assert store.append("ann", events(9.0)) == 1, "an expired id is new again"
        assert store.history("ann") == events(9.0)

    def test_an_erased_user_is_gone_and_can_come_back(self, store: HistoryStore) -> None:
        store.append("ann", events(1.0, 2.0))
        store.append("bob", events(3.0))
        assert store.erase("ann") == 2
        assert store.erase("ann") == 0
        assert store.history("ann") == []
        assert store.history("bob") == events(3.0)
        assert store.append("ann", events(1.0)) == 1
        assert ids(store) == ["e0"]

    def test_hostile_ids_are_ids_like_any_other(self, store: HistoryStore) -> None:
        for name in HOSTILE:
            assert store.append(name, [Event(raw, raw, 1.0) for raw in HOSTILE]) == len(HOSTILE)
        for name in HOSTILE:
            assert [(e.id, e.item) for e in store.history(name)] == [(raw, raw) for raw in HOSTILE]
        assert store.erase(HOSTILE[0]) == len(HOSTILE)
        assert store.history(HOSTILE[0]) == []
        assert all(len(store.history(name)) == len(HOSTILE) for name in HOSTILE[1:])

    def test_hostile_ids_are_remembered_once_let_go(self, place: Place) -> None:
        store = place.store(length=5)
        hostile = [Event(raw, raw, 1.0) for raw in HOSTILE]
        assert store.append("ann", hostile) == len(HOSTILE) <= 5 + Retention(5).remembered
        assert store.append("ann", hostile) == 0
        assert store.history("ann") == hostile[-5:]

    def test_threads_lose_nothing(self, place: Place) -> None:
        handles = [place.store(), place.store() if place.shared else place.opened[0]]

        def work(thread: int) -> int:
            store = handles[thread % 2]
            new = sum(store.append("ann", events(1.0, start=20 * thread + n)) for n in range(20))
            assert len(store.history("ann")) >= 20
            return new + store.append("ann", [Event("same", "i", 2.0)])

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(work, range(8))) == 161
        assert sorted(ids(handles[0])) == sorted([*(f"e{n}" for n in range(160)), "same"])

    def test_any_sequence_of_calls_does_what_a_plain_list_does(self, place: Place) -> None:
        draw, length = random.Random(0), 3
        store, plain = place.store(length=length), Plain(length)
        items: list[RawId] = ["1", 1, 2]
        for _ in range(300):
            user = draw.choice("ab")
            if draw.random() < 0.03:
                assert store.erase(user) == plain.erase(user)
            else:
                batch = [
                    Event(str(draw.randrange(25)), draw.choice(items), float(draw.randrange(4)))
                    for _ in range(draw.randrange(1, 6))
                ]
                assert store.append(user, batch) == plain.append(user, batch)
            assert store.history(user) == plain.history(user)

    def test_two_handles_see_the_same(self, place: Place) -> None:
        if not place.shared:
            pytest.skip("its handles share nothing")
        first, second = place.store(), place.store()
        assert first.append("ann", events(1.0)) == 1
        assert second.history("ann") == events(1.0)
        assert second.append("ann", events(1.0, 2.0)) == 1
        assert first.history("ann") == events(1.0, 2.0)
        assert first.erase("ann") == 2
        assert second.history("ann") == []


def events(*times: float, start: int = 0) -> list[Event]:
    """Events at the times given, with ids and items by their place in the list."""
    return [Event(f"e{n}", f"i{n}", time) for n, time in enumerate(times, start)]


def ids(store: HistoryStore, user: str = "ann") -> list[str]:
    """The ids of a user's events, oldest first."""
    return [event.id for event in store.history(user)]


class Plain:
    """The contract in its plainest form."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.kept: dict[str, list[tuple[float, int, Event]]] = {}
        self.gone: dict[str, list[tuple[int, str]]] = {}
        self.arrivals = 0

    def append(self, user: str, some: Sequence[Event]) -> int:
        kept, gone = self.kept.setdefault(user, []), self.gone.setdefault(user, [])
        before = self.arrivals
        for event in some:
            if event.id not in [*(e.id for _, _, e in kept), *(name for _, name in gone)]:
                self.arrivals += 1
                kept.append((event.time, self.arrivals, event))
        kept.sort(key=lambda row: row[:2])
        gone += [(arrival, event.id) for _, arrival, event in kept[: -self.length]]
        self.kept[user] = kept[-self.length :]
        self.gone[user] = sorted(gone)[-Retention(self.length).remembered :]
        return self.arrivals - before

    def history(self, user: str) -> list[Event]:
        return [event for _, _, event in self.kept.get(user, [])]

    def erase(self, user: str) -> int:
        self.gone.pop(user, None)
        return len(self.kept.pop(user, []))
