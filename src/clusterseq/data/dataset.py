"""Events as integer sequences with their two vocabularies, filtered, saved and loaded.

Knows nothing about: files of events, splits, models.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import UnionType
from typing import Any, TypeAlias

import numpy as np
import polars as pl
from jaxtyping import Bool, Int32

from clusterseq.data.sequences import Sequences
from clusterseq.data.shards import (
    PeopleFile,
    people_of,
    read_arrow,
    sequences_of,
    write_arrow,
    write_shard,
)
from clusterseq.errors import DataError
from clusterseq.machine.directory import current_path, replacing
from clusterseq.machine.files import file_sha256
from clusterseq.reading.event_report import EventReport
from clusterseq.reading.events import Events
from clusterseq.reading.vocab import UNKNOWN, Vocabulary

FORMAT = 2
MANIFEST = "dataset.json"
ITEMS = "items.arrow"
IDS = (pl.String(), pl.Int64())
KINDS_OF_ITEMS = {"id": IDS}
KINDS_OF_PEOPLE = {"id": IDS, "items": (pl.List(pl.Int32),), "times": (pl.List(pl.Int64),)}
"""What the columns of the files may be."""
Codes = Int32[np.ndarray, " events"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """All users' sequences over one catalogue of items."""

    sequences: Sequences
    """Item indices by user index, oldest first; ties in time stand in the order of the input."""
    users: Vocabulary
    """Raw user ids."""
    items: Vocabulary
    """Raw item ids."""
    report: EventReport
    """What was read, before any filter."""

    @classmethod
    def from_events(cls, events: Events) -> Dataset:
        """Number users and items.

        Raises:
            DataError: it isn't what ``read_events`` gives.

        >>> from clusterseq.reading.events import read_events
        >>> rows = {"user": ["u", "u", "v"], "item": ["y", "x", "x"]}
        >>> data = Dataset.from_events(read_events(pl.DataFrame(rows)))
        >>> data.users.ids, data.items.ids, [row.tolist() for row in data.sequences]
        (['u', 'v'], ['x', 'y'], [[1, 0], [0]])
        """
        require_data(events, Events)
        frame = events.frame
        users, items = (Vocabulary.from_ids(frame[name]) for name in ("user", "item"))
        sequences = Sequences.from_codes(
            users.encode_series(frame["user"]),
            items.encode_series(frame["item"]),
            frame["time"].to_numpy(),
            len(users),
        )
        return cls(sequences, users, items, events.report)

    @property
    def timed(self) -> bool:
        """False if the events had no time, so that only their order is known."""
        return self.report.timed

    def filtered(
        self,
        *,
        k_core: int = 0,
        min_user_events: int = 1,
        min_item_events: int = 1,
        known: Vocabulary | None = None,
    ) -> Dataset:
        """Filter until everyone left has the events asked for.

        ``k_core=k`` asks for k events of each user and each item; the other two limits raise one
        of them. Dropping an item can push a user below the limit, so the filter is repeated until
        nothing changes. Items that are ``known`` stay, however few their events are here.

        Raises:
            DataError: nothing is left.

        >>> from clusterseq.reading.events import read_events
        >>> rows = {"user": ["u", "u", "v", "v", "w"], "item": ["y", "x", "x", "y", "z"]}
        >>> data = Dataset.from_events(read_events(pl.DataFrame(rows))).filtered(k_core=2)
        >>> data.users.ids, data.items.ids, [row.tolist() for row in data.sequences]
        (['u', 'v'], ['x', 'y'], [[1, 0], [0, 1]])
        """
        limits = max(k_core, min_user_events), max(k_core, min_item_events)
        if max(limits) <= 1:
            return self
        users, items = self.sequences.user_of_event, self.sequences.items
        exempt = None if known is None else known.encode_series(self.items.series) != UNKNOWN
        mask = _filtered(users, items, *limits, exempt)
        remaining = self.sequences.where(mask)
        users, items = np.flatnonzero(remaining.lengths), np.unique(remaining.items)
        new_indices = np.zeros(len(self.items), dtype=np.int32)
        new_indices[items] = np.arange(len(items), dtype=np.int32)
        return Dataset(
            remaining.select(users).renumbered(new_indices),
            self.users.select(users),
            self.items.select(items),
            self.report,
        )

    def save(self, directory: str | Path) -> None:
        """Write one directory, whole or not at all; the same dataset gives the same bytes.

        Raises:
            DataError: the directory holds something else than a dataset.
        """
        counts = self.sequences.counts(len(self.items))
        with replacing(directory, marker=MANIFEST) as target:
            people = people_of(self.users.series, self.sequences)
            shard = write_shard(target / "shard-00000.arrow", people)
            write_items(target, self.items.series, pl.Series(counts))
            write_manifest(target, [shard], self.report)

    @classmethod
    def load(cls, directory: str | Path) -> Dataset:
        """Read what ``save`` or ``prepare`` wrote; users stand in the order of their ids.

        Raises:
            DataError: the directory is missing, damaged or of another version.
        """
        path = current_path(directory)
        manifest = _manifest(path)
        items = _checked(path / ITEMS, manifest, KINDS_OF_ITEMS)["id"]
        shards = [_checked(path / name, manifest, KINDS_OF_PEOPLE) for name in manifest["shards"]]
        try:
            people = pl.concat(shards).sort("id")
        except pl.exceptions.PolarsError as error:
            raise _damaged(path, "its shards are not alike") from error
        sizes = [people[name].list.drop_nulls().list.len() for name in ("items", "times")]
        if not sizes[0].equals(sizes[1]):
            raise _damaged(path, "people have more items than times, or fewer")
        sequences, report = sequences_of(people), EventReport.from_dict(manifest["read"])
        if len(sequences.items) and not (
            0 <= sequences.items.min() <= sequences.items.max() < len(items)
        ):
            raise _damaged(path, "it names items that aren't there")
        return cls(sequences, Vocabulary(people["id"]), Vocabulary(items), report)


Data: TypeAlias = Events | Dataset
"""What can be split: events as they were read, or a data set."""


def dataset_of(data: Data) -> Dataset:
    """A data set, made from events if it isn't one yet.

    Raises:
        DataError: it is neither.
    """
    return data if isinstance(data, Dataset) else Dataset.from_events(data)


def require_data(data: object, kinds: type[Data] | UnionType = Events | Dataset) -> None:
    """Refuse what is neither events nor a data set, such as the name of a file of them.

    Raises:
        DataError: it is neither.
    """
    if not isinstance(data, kinds):
        raise DataError(
            f"events are what read_events gives, not {type(data).__name__}; call read_events first"
        )


def is_dataset(path: str | Path) -> bool:
    """Whether a path is the directory of a saved data set, be it whole or damaged."""
    return (current_path(path) / MANIFEST).is_file()


def write_items(directory: Path, ids: pl.Series, counts: pl.Series) -> None:
    """Write the catalogue, sorted by id, with how many events each item has."""
    frame = pl.DataFrame({"id": ids, "count": counts.cast(pl.Int64)})
    write_arrow(directory / ITEMS, frame)


def write_manifest(
    directory: Path,
    shards: Sequence[PeopleFile],
    report: EventReport,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Describe shards and catalogue that lie in a directory already."""
    files = {shard.name: shard.sha256 for shard in shards}
    manifest = {
        "format": FORMAT,
        "users": sum(shard.users for shard in shards),
        "events": sum(shard.events for shard in shards),
        "shards": [shard.name for shard in shards],
        "sha256": {ITEMS: file_sha256(directory / ITEMS), **files},
        "read": asdict(report),
        **(about or {}),
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    (directory / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _filtered(
    users: Codes,
    items: Codes,
    user_min: int,
    item_min: int,
    exempt: Bool[np.ndarray, " items"] | None,
) -> Bool[np.ndarray, " n"]:
    """Which events are left once every user and item left has enough of them, or is exempt."""
    mask = np.ones(len(users), dtype=bool)
    previous = -1
    while previous != (remaining := int(mask.sum())):
        previous = remaining
        for codes, limit, free in ((users, user_min, None), (items, item_min, exempt)):
            if limit > 1:
                enough = np.bincount(codes[mask], minlength=len(codes))[codes] >= limit
                mask &= enough if free is None else enough | free[codes]
    if not previous:
        raise DataError(
            f"no event of {len(users)} is left when each user needs {user_min} and each item "
            f"{item_min}; ask for less with a lower k-core or minimum"
        )
    return mask


def _manifest(path: Path) -> dict[str, Any]:
    file = path / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(file.read_text())
        version, names = manifest["format"], manifest.get("shards", [])
    except FileNotFoundError as error:
        raise DataError(f"{path}: no {MANIFEST} here, so not a saved dataset; save anew") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(file, error) from error
    if version != FORMAT:
        raise DataError(
            f"{path}: dataset of format {version}, this program reads {FORMAT}; save it anew"
        )
    if not {"shards", "sha256", "read"} <= manifest.keys():
        raise _damaged(file, "an entry is gone")
    hashes = manifest["sha256"]
    # A name with a folder in it would have any file of the machine read.
    if not (isinstance(names, list) and names and isinstance(hashes, dict)) or not all(
        isinstance(name, str) and name in hashes and Path(name).name == name for name in names
    ):
        raise _damaged(file, "its list of files can't be right")
    return manifest


def _checked(file: Path, manifest: dict[str, Any], kinds: Mapping[str, Any]) -> pl.DataFrame:
    """A file's frame, if its bytes are those that were saved and its columns of the right kinds."""
    try:
        if file.is_file() and file_sha256(file) != manifest["sha256"].get(file.name):
            raise _damaged(file, "its checksum differs")
        frame = read_arrow(file)
    except OSError as error:
        raise DataError(f"{file}: {error.strerror or error}; save the dataset anew") from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise _damaged(file, error) from error
    wrong = [name for name, kind in kinds.items() if frame.schema.get(name) not in kind]
    if wrong or any(frame[name].null_count() for name in kinds):
        raise _damaged(file, "its columns are others than were saved")
    return frame


def _damaged(file: Path, cause: object) -> DataError:
    reason = " ".join(str(cause).split())[:120]
    return DataError(f"{file}: damaged ({reason}); save the dataset anew")
