"""The protocol's splits: no leak, nothing but the set of rows matters, and its published counts."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from clusterseq.config import SplitKind
from clusterseq.data.dataset import Dataset
from clusterseq.data.sequences import Sequences
from clusterseq.data.split import Split, all_new, split_users
from clusterseq.errors import ConfigError, DataError
from clusterseq.reading.events import read_events
from clusterseq.reading.vocab import RawId, Vocabulary

SHARED = Path(__file__).parents[3] / "shared" / "data"
SECOND = 10**6
Rows = list[tuple[str, str, int]]

ROWS = st.lists(
    st.tuples(st.sampled_from("abcdefghijklmnop"), st.sampled_from("ABCDEFGH"), st.integers(0, 30)),
    min_size=25,
    max_size=80,
    unique=True,
)


def dataset_of(rows: Rows) -> Dataset:
    frame = pl.DataFrame(rows, schema=["user", "item", "time"], orient="row")
    return Dataset.from_events(read_events(frame))


def split_or_skip(rows: Rows, kind: SplitKind, seed: int = 0) -> tuple[Dataset, Split]:
    data = dataset_of(rows)
    try:
        return data, split_users(data, kind, seed=seed)
    except DataError:
        assume(False)
        raise


def raw(data: Dataset, split: Split, part: str) -> dict[object, list[tuple[RawId, int]]]:
    """Each user's (item, time in seconds) in one part of a split, all as raw ids."""
    sequences: Sequences = getattr(split, part)
    users = data.users.decode(getattr(split, f"{part}_users"))
    found: dict[object, list[tuple[RawId, int]]] = {}
    for place, user in enumerate(users):
        start, end = sequences.offsets[place : place + 2]
        items = split.items.decode(sequences.items[start:end])
        times = (sequences.times[start:end] // SECOND).tolist()
        found[user] = list(zip(items, times, strict=True))
    return found


# The quantile of these first times is 16 in seconds, and a trifle more in microseconds.
ROUNDED: Rows = [
    *(("a", "A", time) for time in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16)),
    *((user, "A", 0) for user in "befgijkmn"),
    *(("c", "A", 14), ("d", "A", 19), ("h", "A", 19), ("l", "A", 19), ("a", "B", 0)),
]


@example(ROUNDED)
@given(ROWS)
def test_temporal_split_is_the_protocol(rows: Rows) -> None:
    data, split = split_or_skip(rows, "temporal")
    first = {user: min(t for u, _, t in rows if u == user) for user, _, _ in rows}
    # In whole microseconds, as the split has it.
    cutoff = math.ceil(np.quantile([SECOND * time for time in first.values()], 0.8)) / SECOND
    before = {
        user: sorted(((i, t) for u, i, t in rows if u == user and t < cutoff), key=lambda e: e[1])
        for user in first
    }
    known = {user: events for user, events in before.items() if len(events) >= 2}
    catalogue = {item for events in known.values() for item, _ in events}
    new = {
        user: sorted((i, t) for u, i, t in rows if u == user and i in catalogue)
        for user in first
        if first[user] >= cutoff
    }
    found = raw(data, split, "known")
    assert {user: sorted(events) for user, events in found.items()} == {
        user: sorted(events) for user, events in known.items()
    }
    assert split.items.ids == sorted(catalogue)
    both = raw(data, split, "validation") | raw(data, split, "test")
    assert {user: sorted(events) for user, events in both.items()} == new
    assert len(split.validation) == round(0.3 * len(new))
    total = sum(user in new for user, _, _ in rows)
    assert split.coverage == pytest.approx(sum(map(len, new.values())) / total)
    assert split.cutoff is not None
    assert split.cutoff / SECOND == pytest.approx(cutoff, abs=1e-5)


@given(ROWS, st.sampled_from(["temporal", "random"]), st.integers(0, 3))
def test_no_new_user_and_no_later_event_is_known(rows: Rows, kind: SplitKind, seed: int) -> None:
    data, split = split_or_skip(rows, kind, seed)
    sides = [set(raw(data, split, part)) for part in ("known", "validation", "test")]
    assert not sides[0] & sides[1]
    assert not sides[0] & sides[2]
    assert not sides[1] & sides[2]
    if kind == "temporal":
        assert split.cutoff is not None
        assert (split.known.times < split.cutoff).all()
        assert (split.validation.times >= split.cutoff).all()
        assert (split.test.times >= split.cutoff).all()
        assert (split.known.lengths >= 2).all()
    else:
        assert set.union(*sides) == set(data.users.ids)
        assert len(split.known) == round(0.8 * len(data.users))
    assert set(split.known.items.tolist()) == set(range(len(split.items)))


@given(ROWS, st.sampled_from(["temporal", "random"]), st.integers(0, 3), st.randoms())
def test_the_order_of_rows_does_not_matter(
    rows: Rows, kind: SplitKind, seed: int, random: object
) -> None:
    data, split = split_or_skip(rows, kind, seed)
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    other_data = dataset_of(shuffled)
    other = split_users(other_data, kind, seed=seed)
    assert other.fingerprint == split.fingerprint
    assert (other.coverage, other.cutoff) == (split.coverage, split.cutoff)
    for part in ("known", "validation", "test"):
        mine, others = raw(data, split, part), raw(other_data, other, part)
        # Events at one moment have no order of their own, so they may trade places.
        assert {u: sorted(e) for u, e in mine.items()} == {u: sorted(e) for u, e in others.items()}


def test_the_cutoff_is_exact_between_two_times() -> None:
    # The 80 % quantile of the first events 0, 0, 0, 0 and 12 µs is 2.4 µs.
    firsts = {"a": 0, "b": 0, "c": 0, "d": 0, "e": 12}
    rows = [(user, item, first) for user, first in firsts.items() for item in ("x", "y")]
    rows += [("a", "early", 2), ("a", "late", 3)]
    frame = pl.DataFrame(rows, schema=["user", "item", "time"], orient="row")
    dates = frame.with_columns(pl.col("time").cast(pl.Datetime("us")))
    data = Dataset.from_events(read_events(dates))
    split = split_users(data, "temporal", new_share=0.2, validation_share=0.0)
    assert split.cutoff == 3
    assert split.items.ids == ["early", "x", "y"]


def grid(users: int, events: int) -> Rows:
    return [(f"u{u:03}", f"i{e}", 100 * u + e) for u in range(users) for e in range(events)]


def test_the_seed_draws_the_users() -> None:
    data = dataset_of(grid(50, 4))
    one, again, other = (split_users(data, "random", seed=seed) for seed in (0, 0, 1))
    assert one.known_users.tolist() == again.known_users.tolist()
    assert one.fingerprint == again.fingerprint != other.fingerprint
    assert one.test_users.tolist() != other.test_users.tolist()
    temporal = [split_users(data, "temporal", seed=seed) for seed in (0, 1)]
    assert temporal[0].fingerprint == temporal[1].fingerprint
    assert temporal[0].test_users.tolist() != temporal[1].test_users.tolist()


def test_the_fingerprint_tells_ids_and_counts_apart() -> None:
    def fingerprint(rows: list[tuple[str | int, str]]) -> str:
        frame = pl.DataFrame(rows, schema=["user", "item"], orient="row")
        return split_users(Dataset.from_events(read_events(frame)), "none").fingerprint

    different = [
        [("a", "x"), ("bc", "x")],
        [("ab", "x"), ("c", "x")],
        [("a", "x"), ("bc", "x"), ("bc", "y")],
        [("a", "x")],
        [("1", "x")],
        [(1, "x")],
        [(2, "x")],
    ]
    assert len({fingerprint(rows) for rows in different}) == len(different)  # type: ignore[arg-type]
    assert fingerprint([("a", "x"), ("bc", "x")]) == fingerprint([("bc", "z"), ("a", "y")])


def test_none_knows_everybody() -> None:
    data = dataset_of([("u", "a", 1), ("u", "b", 2), ("v", "a", 3)])
    split = split_users(data, "none")
    assert [row.tolist() for row in split.known] == [[0, 1], [0]]
    assert (len(split.validation), len(split.test), split.coverage) == (0, 0, 1.0)


def test_all_new_keeps_only_the_catalogue() -> None:
    data = dataset_of([("u", "a", 1), ("u", "b", 2), ("v", "c", 3), ("v", "a", 4)])
    sequences, coverage = all_new(data, Vocabulary.from_ids(["c", "a", "z"]))
    assert [row.tolist() for row in sequences] == [[0], [1, 0]]
    assert coverage == 0.75
    assert all_new(data, Vocabulary.from_ids(["z"]))[1] == 0.0


@pytest.mark.parametrize(
    ("rows", "kind", "message"),
    [
        (grid(1, 5), "temporal", "of 1 users: nobody has 2 events before 1970-01-01T00:00:00Z"),
        (grid(1, 5), "random", "1 users leaves 1 known, 0 validation and 0 test .* --split none"),
        (grid(5, 5), "random", "5 users leaves 4 known, 0 validation and 1 test"),
        ([(u, i, 5) for u in "abcdefgh" for i in "xyz"], "temporal", "--split random"),
        (grid(20, 1), "temporal", "nobody has 2 events before"),
    ],
)
def test_too_few_users(rows: Rows, kind: SplitKind, message: str) -> None:
    with pytest.raises(DataError, match=message):
        split_users(dataset_of(rows), kind)


def test_a_temporal_split_needs_times() -> None:
    frame = pl.DataFrame({"user": ["u", "v"], "item": ["a", "b"]})
    with pytest.raises(DataError, match="use --split random or name the column with --time-column"):
        split_users(Dataset.from_events(read_events(frame)), "temporal")


def test_a_seed_is_a_whole_number(unchecked: None) -> None:
    data = dataset_of(grid(50, 3))
    for seed in (-1, 0.5, True, None):
        with pytest.raises(ConfigError, match=f"seed = {seed} can't be used; give a whole number"):
            split_users(data, "random", seed=seed)  # type: ignore[arg-type]
    assert type(split_users(data, "random", seed=np.int64(3)).seed) is int  # type: ignore[arg-type]


def test_shares_out_of_range_are_refused() -> None:
    data = dataset_of(grid(50, 3))
    for new, validation in ((0.0, 0.3), (1.0, 0.3), (0.2, 1.0), (0.2, -0.1)):
        with pytest.raises(DataError, match="shares must lie between 0 and 1"):
            split_users(data, "random", new_share=new, validation_share=validation)
    assert len(split_users(data, "random", validation_share=0.0).test) == 10


@pytest.mark.parametrize(
    ("name", "kind", "known", "scored", "test"),
    [
        ("movietweetings", "temporal", 9_269, 436 + 159, 436),
        ("amazon_grocery_5core", "temporal", 10_511, None, 1_887),
        ("amazon_electronics_newusers", "temporal", 6_433, None, 644),
        ("beauty_5core", "random", 17_890, None, 3_135),
        ("sports_5core", "random", 28_478, None, 4_980),
    ],
)
def test_counts_published_in_the_protocol(
    name: str, kind: SplitKind, known: int, scored: int | None, test: int
) -> None:
    path = SHARED / f"{name}.parquet"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    split = split_users(Dataset.from_events(read_events(path)), kind)
    found = [int((side.lengths > 3).sum()) for side in (split.validation, split.test)]
    assert len(split.known) == known
    assert scored in (None, sum(found))
    # Which of the new users are test is a draw, so their number is only near.
    assert found[1] == pytest.approx(test, rel=0.08)
    assert sum(found) == pytest.approx(test / 0.7, rel=0.08)
