"""Which columns are taken when several fit, and what is said when none does."""

from __future__ import annotations

import pytest

from clusterseq.errors import DataError
from clusterseq.reading.columns import (
    ITEM_ALIASES,
    TIME_ALIASES,
    USER_ALIASES,
    Columns,
    find_columns,
    plain,
    quoted,
)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("user,item,time", ("user", "item", "time")),
        ("time,item,user", ("user", "item", "time")),
        ("User ID,Item-ID,TimeStamp", ("User ID", "Item-ID", "TimeStamp")),
        ("session_id,user_id,item_id,ts", ("user_id", "item_id", "ts")),
        ("session_id,aid,ts", ("session_id", "aid", "ts")),
        ("asin,parent_asin,user_id,timestamp", ("user_id", "parent_asin", "timestamp")),
        (
            "reviewerID,asin,reviewerName,reviewTime,unixReviewTime",
            ("reviewerID", "asin", "unixReviewTime"),
        ),
        ("userId,movieId,rating,timestamp", ("userId", "movieId", "timestamp")),
        ("timestamp,visitorid,event,itemid", ("visitorid", "itemid", "timestamp")),
        ("t_dat,customer_id,article_id,price", ("customer_id", "article_id", "t_dat")),
        ("InvoiceDate,StockCode,CustomerID", ("CustomerID", "StockCode", "InvoiceDate")),
        (
            "user_id:token,item_id:token,timestamp:float",
            ("user_id:token", "item_id:token", "timestamp:float"),
        ),
        ("uid,sku,price", ("uid", "sku", None)),
    ],
)
def test_columns_of_well_known_sets(names: str, expected: tuple[str, str, str | None]) -> None:
    assert find_columns(names.split(","), "f") == Columns(*expected)


def test_a_given_name_goes_before_any_alias() -> None:
    names = ["user", "item", "time", "basket", "SKU", "day"]
    found = find_columns(names, "f", user="basket", item="sku", time="day")
    assert found == Columns("basket", "SKU", "day")


@pytest.mark.parametrize(
    ("names", "given", "message"),
    [
        (["a", "item"], {}, 'f: no user column among "a", "item"; name it with --user-column'),
        (["user", "b"], {}, 'f: no item column among "user", "b"; name it with --item-column'),
        (["17", "4"], {}, "--user-column, or add a line of names"),
        (["user", "item"], {"time": "when"}, 'no column "when" among "user", "item"; .*--time-col'),
        (["user", "item"], {"user": "item"}, "columns of their own"),
        ([f"c{n}" for n in range(20)], {}, '"c7" and 12 more'),
    ],
)
def test_what_is_not_found_is_named(names: list[str], given: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        find_columns(names, "f", **given)


def test_aliases_are_written_as_they_are_compared() -> None:
    everything = [*USER_ALIASES, *ITEM_ALIASES, *TIME_ALIASES]
    assert [plain(alias) for alias in everything] == everything
    assert len(set(everything)) == len(everything)


def test_a_value_is_shown_on_one_short_line() -> None:
    assert quoted("a\nb\x00") == '"a\\nb\\x00"'
    assert len(quoted("x" * 1000)) == 43
