"""Many users' item sequences in three flat arrays, so that ten million events stay small.

Knows nothing about: raw ids, files, which users are known and which are new.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int32, Int64, Integer

from clusterseq.errors import DataError


@dataclass(frozen=True, eq=False)
class Sequences:
    """The events of user ``u`` are the cells ``offsets[u]`` … ``offsets[u + 1]``, oldest first."""

    items: Int32[np.ndarray, " events"]
    """Item indices, user after user."""
    times: Int64[np.ndarray, " events"]
    """Microseconds since the epoch, or positions in the input where there is no time."""
    offsets: Int64[np.ndarray, " bounds"]
    """Where each user's events start, and after the last user the number of events."""

    def __post_init__(self) -> None:
        fits = len(self.items) == len(self.times) and self.offsets[[0, -1]].tolist() == [
            0,
            len(self.items),
        ]
        if not fits or (np.diff(self.offsets) < 0).any():
            raise DataError("sequences: items, times and offsets don't fit together; save anew")

    @classmethod
    def from_codes(
        cls,
        users: Int32[np.ndarray, " events"],
        items: Int32[np.ndarray, " events"],
        times: Int64[np.ndarray, " events"],
        n_users: int,
    ) -> Sequences:
        """Group events by user and sort each user's by time; ties stay in their order.

        >>> codes = lambda *values: np.array(values, dtype=np.int32)
        >>> times = np.array([5, 1, 5, 3])
        >>> seqs = Sequences.from_codes(codes(0, 1, 0, 0), codes(7, 8, 9, 6), times, n_users=2)
        >>> seqs[0].tolist(), seqs[1].tolist()
        ([6, 7, 9], [8])
        """
        order = np.lexsort((times, users))
        offsets = _offsets(np.bincount(users, minlength=n_users))
        return cls(items[order], times[order], offsets)

    @classmethod
    def from_rows(cls, rows: Iterable[np.ndarray | Iterable[int]]) -> Sequences:
        """The items of each person, one person a row; the time is the place in the input.

        >>> [items.tolist() for items in Sequences.from_rows([[4, 5], [], [6]])]
        [[4, 5], [], [6]]
        """
        parts = [np.fromiter(row, dtype=np.int32) for row in rows]
        items = np.concatenate([np.zeros(0, dtype=np.int32), *parts])
        offsets = _offsets(np.array([len(part) for part in parts], dtype=np.int64))
        return cls(items, np.arange(len(items)), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, user: int) -> Int32[np.ndarray, " steps"]:
        """Item indices of one user, oldest first."""
        if not 0 <= user < len(self):
            raise IndexError(f"user {user} is not in 0 … {len(self) - 1}")
        return self.items[self.offsets[user] : self.offsets[user + 1]]

    def __iter__(self) -> Iterator[Int32[np.ndarray, " steps"]]:
        return (self[user] for user in range(len(self)))

    @property
    def lengths(self) -> Int64[np.ndarray, " users"]:
        """Number of events of each user."""
        return np.diff(self.offsets)

    @property
    def user_of_event(self) -> Int32[np.ndarray, " events"]:
        """The user whom each event belongs to."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.lengths)

    def counts(self, n_items: int) -> Int64[np.ndarray, " items"]:
        """How often each item occurs.

        >>> seqs = Sequences(np.int32([0, 2, 2]), np.array([0, 1, 0]), np.array([0, 2, 3]))
        >>> seqs.counts(4).tolist()
        [1, 0, 2, 0]
        """
        return np.bincount(self.items, minlength=n_items)

    def select(self, users: Integer[np.ndarray, " n"]) -> Sequences:
        """Only some users, in the order given.

        >>> seqs = Sequences(np.int32([4, 5, 6]), np.array([0, 1, 0]), np.array([0, 2, 3]))
        >>> [row.tolist() for row in seqs.select(np.array([1, 0]))]
        [[6], [4, 5]]
        """
        lengths = self.lengths[users]
        offsets = _offsets(lengths)
        shifts = np.repeat(self.offsets[:-1][users] - offsets[:-1], lengths)
        cells = shifts + np.arange(offsets[-1])
        return Sequences(self.items[cells], self.times[cells], offsets)

    def where(self, kept: Bool[np.ndarray, " events"]) -> Sequences:
        """Only some events; a user who loses all of them stays, with none.

        >>> seqs = Sequences(np.int32([4, 5, 6]), np.array([0, 1, 0]), np.array([0, 2, 3]))
        >>> [row.tolist() for row in seqs.where(seqs.items < 6)]
        [[4, 5], []]
        """
        before = np.concatenate([[0], np.cumsum(kept, dtype=np.int64)])
        return Sequences(self.items[kept], self.times[kept], before[self.offsets])

    def newest(self, most: int) -> Sequences:
        """At most so many of each person's events, the newest.

        >>> Sequences.from_rows([[1, 2, 3], [4]]).newest(2).items.tolist()
        [2, 3, 4]
        """
        if not len(self) or self.lengths.max() <= most:
            return self
        ends = np.repeat(self.offsets[1:], self.lengths)
        return self.where(np.arange(len(self.items)) >= ends - most)

    def renumbered(self, places: Int32[np.ndarray, " items"]) -> Sequences:
        """The same sequences with each item ``i`` called ``places[i]``."""
        return Sequences(places[self.items], self.times, self.offsets)


def evenly(users: Integer[np.ndarray, " n"], at_most: int) -> Integer[np.ndarray, " chosen"]:
    """Some of the users, from first to last, so that nobody counts for standing early in a file.

    >>> evenly(np.arange(9), 3).tolist(), evenly(np.arange(2), 3).tolist()
    ([0, 4, 8], [0, 1])
    """
    return users[np.unique(np.linspace(0, len(users) - 1, at_most).astype(np.int64))]


def _offsets(lengths: Int64[np.ndarray, " users"]) -> Int64[np.ndarray, " users+1"]:
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths, dtype=np.int64)])


def digest_of(*people: Sequences) -> str:
    """What tells some people's events, in their order, from all others."""
    digest = hashlib.sha256()
    for array in (array for sequences in people for array in vars(sequences).values()):
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
