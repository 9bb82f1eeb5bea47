"""Events as integer sequences with their two vocabularies, filtered, saved and loaded.

Knows nothing about: files of events, splits, models.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Bool, Int32

from clusterseq.directory import present, replacing
from clusterseq.errors import DataError
from clusterseq.events import Events
from clusterseq.sequences import Sequences
from clusterseq.vocab import Vocabulary

__all__ = ["Dataset", "Sequences"]

FORMAT = 1
MANIFEST = "dataset.json"
ARRAYS = ("items", "times", "offsets")
VOCABULARIES = ("user_ids", "item_ids")
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
    timed: bool
    """False if the events had no time, so that only their order is known."""

    @classmethod
    def from_events(
        cls,
        events: Events,
        *,
        k_core: int = 0,
        min_user_events: int = 1,
        min_item_events: int = 1,
    ) -> Dataset:
        """Number users and items, and filter until everyone left has the events asked for.

        ``k_core=k`` asks for k events of each user and each item; the other two limits raise one
        of them. Dropping an item can push a user below the limit, so the filter is repeated until
        nothing changes.

        Raises:
            DataError: nothing is left.

        >>> from clusterseq.events import read_events
        >>> rows = {"user": ["u", "u", "v", "v", "w"], "item": ["y", "x", "x", "y", "z"]}
        >>> data = Dataset.from_events(read_events(pl.DataFrame(rows)), k_core=2)
        >>> data.users.ids, data.items.ids, [row.tolist() for row in data.sequences]
        (['u', 'v'], ['x', 'y'], [[1, 0], [0, 1]])
        """
        frame = events.frame
        all_users = Vocabulary.from_ids(frame["user"])
        all_items = Vocabulary.from_ids(frame["item"])
        users = all_users.encode_series(frame["user"])
        items = all_items.encode_series(frame["item"])
        kept = _filtered(users, items, max(k_core, min_user_events), max(k_core, min_item_events))
        user_ids, users = np.unique(users[kept], return_inverse=True)
        item_ids, items = np.unique(items[kept], return_inverse=True)
        return cls(
            Sequences.from_codes(
                users.astype(np.int32),
                items.astype(np.int32),
                frame["time"].to_numpy()[kept],
                len(user_ids),
            ),
            all_users.select(user_ids),
            all_items.select(item_ids),
            events.timed,
        )

    def save(self, directory: str | Path) -> None:
        """Write one directory, whole or not at all; the same dataset gives the same bytes.

        Raises:
            DataError: the directory holds something else than a dataset.
        """
        files = {f"{name}.npy": _npy(getattr(self.sequences, name)) for name in ARRAYS}
        for name, vocabulary in zip(VOCABULARIES, (self.users, self.items), strict=True):
            files[f"{name}.arrow"] = _arrow(vocabulary)
        manifest = {
            "format": FORMAT,
            "timed": self.timed,
            "users": len(self.users),
            "items": len(self.items),
            "events": len(self.sequences.items),
            "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        }
        with replacing(directory, marker=MANIFEST) as target:
            for name, data in files.items():
                (target / name).write_bytes(data)
            (target / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")

    @classmethod
    def load(cls, directory: str | Path) -> Dataset:
        """Read what ``save`` wrote.

        Raises:
            DataError: the directory is missing, damaged or of another version.
        """
        path = present(directory)
        manifest = _manifest(path)
        arrays = [
            np.load(io.BytesIO(_checked(path / f"{name}.npy", manifest)), allow_pickle=False)
            for name in ARRAYS
        ]
        users, items = (
            Vocabulary(pl.read_ipc(io.BytesIO(_checked(path / f"{name}.arrow", manifest)))["id"])
            for name in VOCABULARIES
        )
        return cls(Sequences(*arrays), users, items, manifest["timed"])


def _filtered(users: Codes, items: Codes, user_min: int, item_min: int) -> Bool[np.ndarray, " n"]:
    """Which events are left once every user and item left has enough of them."""
    kept = np.ones(len(users), dtype=bool)
    before = -1
    while before != (left := int(kept.sum())):
        before = left
        for codes, limit in ((users, user_min), (items, item_min)):
            if limit > 1:
                kept &= np.bincount(codes[kept], minlength=len(codes))[codes] >= limit
    if not before:
        raise DataError(
            f"no event of {len(users)} is left when each user needs {user_min} and each item "
            f"{item_min}; ask for less with a lower k-core or minimum"
        )
    return kept


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _arrow(vocabulary: Vocabulary) -> bytes:
    buffer = io.BytesIO()
    vocabulary.series.to_frame().rechunk().write_ipc(buffer)
    return buffer.getvalue()


def _manifest(path: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((path / MANIFEST).read_text())
        version = manifest["format"]
    except FileNotFoundError as error:
        raise DataError(f"{path}: no {MANIFEST} here, so not a saved dataset; save anew") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path / MANIFEST}: damaged ({error}); save the dataset anew") from error
    if version != FORMAT:
        raise DataError(
            f"{path}: dataset of format {version}, this program reads {FORMAT}; save it anew"
        )
    if not {"timed", "sha256"} <= manifest.keys():
        raise DataError(f"{path / MANIFEST}: damaged (an entry is gone); save the dataset anew")
    return manifest


def _checked(file: Path, manifest: dict[str, Any]) -> bytes:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}; save the dataset anew") from error
    if hashlib.sha256(data).hexdigest() != manifest["sha256"].get(file.name):
        raise DataError(f"{file}: damaged (its checksum differs); save the dataset anew")
    return data
