"""People on disk: Arrow files with a row for each person, who has a list of items and one of times.

A shard holds the people whose id has a certain hash, so that any number of machines can write and
read them without a word to each other. The hash is CRC-32 over the id's text in UTF-8: the same on
every machine and in every version, and the same for 7 and "7".

Knows nothing about: how events are read, what shards lie beside it, raw item ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
import polars as pl

from clusterseq.data.sequences import Sequences
from clusterseq.machine.files import file_sha256


@dataclass(frozen=True)
class PeopleFile:
    """What a manifest says of one file of people."""

    name: str
    """The file's name in its directory."""
    users: int
    """How many people it holds."""
    events: int
    """How many events of theirs."""
    sha256: str
    """Of the file."""


def shard_of(users: pl.Series, shards: int) -> pl.Series:
    """The shard of each raw user id, 0 … ``shards`` − 1.

    >>> shard_of(pl.Series(["ann", "bob", "ann"]), 4).to_list()
    [3, 0, 3]
    """
    distinct = users.unique()
    codes = np.fromiter((crc32(str(user).encode()) for user in distinct), np.uint32, len(distinct))
    table = pl.DataFrame({"user": distinct, "shard": codes % shards})
    joined = users.alias("user").to_frame().join(table, on="user", maintain_order="left")
    return joined["shard"]


def people_of(users: pl.Series, sequences: Sequences) -> pl.DataFrame:
    """The columns ``id``, ``items`` and ``times``, one row for each person.

    >>> sequences = Sequences(np.int32([4, 5, 6]), np.array([1, 2, 3]), np.array([0, 2, 2, 3]))
    >>> people_of(pl.Series(["u", "v", "w"]), sequences).rows()
    [('u', [4, 5], [1, 2]), ('v', [], []), ('w', [6], [3])]
    """
    owners = sequences.user_of_event
    events = pl.DataFrame({"user": owners, "items": sequences.items, "times": sequences.times})
    lists = events.lazy().group_by("user", maintain_order=True).agg("items", "times")
    everybody = pl.LazyFrame({"user": np.arange(len(sequences), dtype=owners.dtype)})
    people = everybody.join(lists, on="user", how="left", maintain_order="left").collect()
    return people.select(
        users.alias("id"), pl.col("items").fill_null([]), pl.col("times").fill_null([])
    )


def sequences_of(people: pl.DataFrame) -> Sequences:
    """The sequences of such rows, in their order."""
    offsets = np.zeros(len(people) + 1, dtype=np.int64)
    np.cumsum(people["items"].list.len().to_numpy(), out=offsets[1:])
    items, times = (people[name].explode().drop_nulls().to_numpy() for name in ("items", "times"))
    return Sequences(items, times, offsets)


def write_shard(path: Path, people: pl.DataFrame) -> PeopleFile:
    """Write people, sorted by id; the same people give the same bytes."""
    write_arrow(path, people)
    events = int(people["items"].list.len().sum())
    return PeopleFile(path.name, len(people), events, file_sha256(path))


def write_arrow(path: Path, frame: pl.DataFrame) -> None:
    """Write a frame so that it can be mapped: not compressed, in one piece."""
    frame.rechunk().write_ipc(path, compression="uncompressed")


def read_arrow(path: Path) -> pl.DataFrame:
    """Map such a frame: what isn't looked at isn't read."""
    return pl.read_ipc(path)
