"""Who is known and who is new: the protocol's splits by user, so that nobody tested was trained on.

``temporal``: T is the 80 % quantile of the users' first events. Known users begin before T and keep
their events strictly before T, if two are left; new users begin at or after T. ``random``: a seeded
draw of users, known ones keep everything. In both, items that no known sequence holds (and no
earlier model knows) are dropped from the new users, and a seeded 30 % of the new users (before any
look at lengths) are validation.

Knows nothing about: K, support and target, models, metrics.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TypeAlias, get_args

import numpy as np
from jaxtyping import Int32, Int64

from clusterseq.checks import whole
from clusterseq.config import SplitKind
from clusterseq.data.dataset import Dataset
from clusterseq.data.sequences import Sequences
from clusterseq.errors import DataError
from clusterseq.reading.times import iso
from clusterseq.reading.vocab import UNKNOWN, Vocabulary

Users: TypeAlias = Int64[np.ndarray, " _"]


@dataclass(frozen=True, eq=False)
class Split:
    """The sequences of known, validation and test users; all items are indices in ``items``."""

    known: Sequences
    """What models may be trained on."""
    validation: Sequences
    """New users for model selection, of any length, some perhaps without an event."""
    test: Sequences
    """New users to be scored once, of any length, some perhaps without an event."""
    known_users: Users
    """Index in the dataset of each user of ``known``, ascending."""
    validation_users: Users
    """Index in the dataset of each user of ``validation``, ascending."""
    test_users: Users
    """Index in the dataset of each user of ``test``, ascending."""
    items: Vocabulary
    """The items that a known sequence holds, or that a model knew before: the catalogue."""
    coverage: float
    """Share of the new users' events whose item is in the catalogue."""
    cutoff: int | None
    """T in microseconds since the epoch (temporal only)."""
    kind: SplitKind
    """The way users were split."""
    seed: int
    """Seed of the draws."""
    fingerprint: str
    """SHA-256 over the known users' raw ids and their kept event counts."""


def split_users(
    dataset: Dataset,
    kind: SplitKind = "temporal",
    *,
    seed: int = 0,
    new_share: float = 0.2,
    validation_share: float = 0.3,
    catalogue: Vocabulary | None = None,
) -> Split:
    """Split a dataset by user; who goes where depends on the set of rows, not on their order.

    A person's events of the same time stay in the order of the rows.

    Args:
        catalogue: items that a model knows from earlier events, so that new users keep them too.

    Raises:
        DataError: an argument is out of range, the dataset has no times for a temporal split, no
            known or no new user would be left, or the catalogue's ids are of another kind.
        ConfigError: the seed is no whole number, or negative.
    """
    seed = whole("seed", seed)
    _check_arguments(dataset, kind, new_share, validation_share)
    generator = np.random.default_rng(seed)
    everyone = np.arange(len(dataset.sequences), dtype=np.int64)
    sequences, cutoff = dataset.sequences, None
    if kind == "temporal":
        known, new, cutoff = _around_cutoff(sequences, 1 - new_share)
        sequences = sequences.where(sequences.times < cutoff)
    elif kind == "random":
        known, new = _drawn(everyone, 1 - new_share, generator)
    else:
        known, new = everyone, everyone[:0]
    validation, test = _drawn(new, validation_share, generator)
    if kind != "none":
        _check_sizes(len(everyone), known, validation if validation_share else test, test)
    trained = sequences.select(known)
    used = np.unique(trained.items)
    items = dataset.items.select(used)
    new_indices = np.full(len(dataset.items), UNKNOWN, dtype=np.int32)
    new_indices[used] = np.arange(len(used), dtype=np.int32)
    if catalogue is not None:
        items = catalogue.joined(items)
        new_indices = items.encode_series(dataset.items.series)
    covered = _covered(dataset.sequences, new_indices)
    return Split(
        known=trained.renumbered(new_indices),
        validation=covered.select(validation),
        test=covered.select(test),
        known_users=known,
        validation_users=validation,
        test_users=test,
        items=items,
        coverage=_coverage(covered, dataset.sequences, new),
        cutoff=cutoff,
        kind=kind,
        seed=seed,
        fingerprint=_fingerprint(dataset.users.select(known), trained.lengths),
    )


def all_new(dataset: Dataset, items: Vocabulary) -> tuple[Sequences, float]:
    """Everyone of a dataset as a new user of a catalogue, and the share of events it covers.

    >>> import polars as pl
    >>> from clusterseq.reading.events import read_events
    >>> data = Dataset.from_events(
    ...     read_events(pl.DataFrame({"user": ["u", "u", "v"], "item": ["x", "y", "z"]}))
    ... )
    >>> sequences, coverage = all_new(data, Vocabulary.from_ids(["y", "z"]))
    >>> [row.tolist() for row in sequences], round(coverage, 2)
    ([[0], [1]], 0.67)
    """
    covered = _covered(dataset.sequences, items.encode_series(dataset.items.series))
    return covered, _coverage(covered, dataset.sequences, np.arange(len(covered)))


def _check_arguments(dataset: Dataset, kind: str, new: float, validation: float) -> None:
    if not isinstance(dataset, Dataset):
        raise DataError(
            f"split_users takes a Dataset, not {type(dataset).__name__}; make one of what "
            "read_events gives: Dataset.from_events(events)"
        )
    if kind not in get_args(SplitKind):
        raise DataError(f'split "{kind}" is unknown; use {", ".join(get_args(SplitKind))}')
    if not 0 < new < 1 or not 0 <= validation < 1:
        raise DataError(
            f"shares must lie between 0 and 1, not new_share={new}, validation_share={validation}"
        )
    if kind == "temporal" and not dataset.timed:
        raise DataError(
            "a temporal split needs times and the events have none; "
            "use --split random or name the column with --time-column",
            code="split",
        )


def _around_cutoff(sequences: Sequences, share: float) -> tuple[Users, Users, int]:
    """Known users, new users, and T, the quantile of the users' first times, rounded up."""
    first = sequences.times[sequences.offsets[:-1]]
    cutoff = min(math.ceil(np.quantile(first, share)), int(first.max()))
    remaining = sequences.where(sequences.times < cutoff).lengths
    known = np.flatnonzero((first < cutoff) & (remaining >= 2))
    if not len(known):
        raise DataError(
            f"temporal split of {len(first)} users: nobody has 2 events before {iso(cutoff)}, the "
            f"{share:.0%} quantile of first events; use --split random or give more users",
            code="split",
        )
    return known, np.flatnonzero(first >= cutoff), cutoff


def _drawn(users: Users, share: float, generator: np.random.Generator) -> tuple[Users, Users]:
    """A random share of the users and the others, both ascending."""
    shuffled = generator.permutation(users)
    count = round(share * len(users))
    return np.sort(shuffled[:count]), np.sort(shuffled[count:])


def _check_sizes(total: int, known: Users, validation: Users, test: Users) -> None:
    if not (len(known) and len(validation) and len(test)):
        raise DataError(
            f"splitting {total} users leaves {len(known)} known, {len(validation)} validation and "
            f"{len(test)} test users, and each needs one; give more users or use --split none",
            code="split",
        )


def _covered(sequences: Sequences, new_indices: Int32[np.ndarray, " items"]) -> Sequences:
    """Only the events whose item has a new index, called by that index."""
    return sequences.where(new_indices[sequences.items] != UNKNOWN).renumbered(new_indices)


def _coverage(covered: Sequences, whole: Sequences, users: Users) -> float:
    """Share of the users' events that are covered; 1 if they have none."""
    events = int(whole.lengths[users].sum())
    return int(covered.lengths[users].sum()) / events if events else 1.0


def _fingerprint(users: Vocabulary, counts: Int64[np.ndarray, " users"]) -> str:
    digest = hashlib.sha256(b"int" if users.is_integer else b"str")
    if users.is_integer:
        digest.update(users.series.to_numpy().astype("<i8").tobytes())
    else:
        # With the lengths beside them, joined ids can't be cut in another way.
        digest.update(users.series.str.len_bytes().to_numpy().astype("<i8").tobytes())
        digest.update("".join(users.series).encode())
    digest.update(counts.astype("<i8").tobytes())
    return digest.hexdigest()
