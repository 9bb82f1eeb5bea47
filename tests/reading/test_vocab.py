"""Raw ids to indices and back: canonical order, leniency between kinds, and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterseq.errors import DataError
from clusterseq.reading.vocab import UNKNOWN, Vocabulary

INTEGERS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.characters(codec="utf-8"), min_size=1)
LISTS = st.lists(INTEGERS, min_size=1) | st.lists(TEXTS, min_size=1)


@given(LISTS, st.randoms())
def test_ids_come_back_as_they_went_in_whatever_their_order(ids: list[Any], random: Any) -> None:
    vocab = Vocabulary.from_ids(ids)
    assert vocab.decode(vocab.encode(ids)) == ids
    assert vocab.ids == sorted(set(ids))
    shuffled = ids * 2
    random.shuffle(shuffled)
    assert Vocabulary.from_ids(shuffled) == vocab


@given(LISTS, st.lists(st.none() | INTEGERS | TEXTS | INTEGERS.map(str)))
def test_a_column_is_encoded_as_single_ids_are(ids: list[Any], asked: list[Any]) -> None:
    vocab = Vocabulary.from_ids(ids)
    for kind, dtype in ((int, pl.Int64), (str, pl.String)):
        column = [raw if isinstance(raw, kind) else None for raw in [*asked, *ids, *map(str, ids)]]
        codes = vocab.encode_series(pl.Series(column, dtype=dtype))
        assert codes.tolist() == vocab.encode(column).tolist()
        assert codes.dtype == np.int32


@pytest.mark.parametrize(
    ("ids", "asked", "place"),
    [
        ([7, 12], "12", 1),
        ([7, 12], "012", UNKNOWN),
        ([7, 12], "+12", UNKNOWN),
        ([7, 12], " 12", UNKNOWN),
        ([7, 12], "1_2", UNKNOWN),
        ([7, 12], "\u0667", UNKNOWN),
        ([7, 12], "9" * 5000, UNKNOWN),
        ([7, 12], 2**70, UNKNOWN),
        ([7, 12], np.int64(12), 1),
        (["12", "7"], 12, 0),
        (["012", "7"], 12, UNKNOWN),
        ([0, 1], True, UNKNOWN),
        (["True", "1.0", "None"], True, UNKNOWN),
        (["True", "1.0", "None"], 1.0, UNKNOWN),
        (["True", "1.0", "None"], None, UNKNOWN),
        ([0, 1], 1.0, UNKNOWN),
        ([0, 1], float("nan"), UNKNOWN),
        ([0, 1], [1], UNKNOWN),
    ],
)
def test_what_finds_what(ids: list[Any], asked: Any, place: int) -> None:
    vocab = Vocabulary.from_ids(ids)
    assert vocab.encode([asked]).tolist() == [place]
    assert (asked in vocab) == (place != UNKNOWN)
    if isinstance(asked, str):
        assert vocab.encode_series(pl.Series([asked])).tolist() == [place]


@pytest.mark.parametrize(
    "ids",
    [
        [1, "1"],
        [True],
        [1.5],
        ["a", None],
        ["a", ""],
        [2**63],
        [10**5_000],
        ["\ud800"],
        pl.Series([1.0]),
        pl.Series([1, None]),
        pl.Series([2**63], dtype=pl.UInt64),
    ],
)
def test_ids_that_are_refused(ids: Any) -> None:
    with pytest.raises(DataError, match="id"):
        Vocabulary.from_ids(ids)


def test_an_index_outside_is_refused() -> None:
    vocab = Vocabulary.from_ids(["a", "b"])
    for index in (-1, 2):
        with pytest.raises(IndexError, match="0 … 1"):
            vocab.decode([index])


def test_a_column_of_another_kind_finds_nothing() -> None:
    for column in (pl.Series([1.0]), pl.Series([True]), pl.Series([None])):
        assert Vocabulary.from_ids([0, 1]).encode_series(column).tolist() == [UNKNOWN]
        assert Vocabulary.from_ids(["1.0", "true"]).encode_series(column).tolist() == [UNKNOWN]


def test_strings_and_integers_make_different_vocabularies() -> None:
    assert Vocabulary.from_ids([1]) != Vocabulary.from_ids(["1"])
    assert Vocabulary.from_ids([]).encode(["x"]).tolist() == [UNKNOWN]
    assert len(Vocabulary.from_ids(pl.Series([3, 3], dtype=pl.UInt8))) == 1


def test_a_number_longer_than_python_writes_is_unknown() -> None:
    for ids in (["a", "12"], [12, 7]):
        assert Vocabulary.from_ids(ids).encode([10**5_000, "1" * 5_000]).tolist() == [-1, -1]
