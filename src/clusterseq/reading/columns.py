"""Which column of a file holds the user, the item and the time.

A column is found by its name, compared without regard to case, spaces and punctuation, so that
``userId``, ``user_id`` and ``User ID`` are one. Where several columns fit, the earlier alias of the
lists below wins: a user before a session, a product's parent before its variant, a timestamp before
a date.

Knows nothing about: what the columns hold, how files are read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from clusterseq.errors import DataError

ROLES = ("user", "item", "time")
DATA_FRAME = "DataFrame"
"""What a data frame is called in messages, where files have their paths."""
USER_ALIASES = (
    *("user", "userid", "uid", "username", "userkey", "reviewerid", "reviewer"),
    *("customerid", "customer", "customerno", "clientid", "client", "buyerid", "accountid"),
    *("account", "memberid", "member", "profileid", "personid", "person", "playerid"),
    *("visitorid", "visitor", "fullvisitorid", "deviceid", "cookieid"),
    *("sessionid", "session", "sid"),
)
ITEM_ALIASES = (
    *("item", "itemid", "iid", "itemkey", "parentasin", "asin", "movieid", "movie", "filmid"),
    *("productid", "product", "productcode", "sku", "skuid", "articleid", "article", "stockcode"),
    *("trackid", "track", "songid", "song", "artistid", "bookid", "isbn", "newsid", "videoid"),
    *("contentid", "gameid", "appid", "recipeid", "businessid", "venueid", "poiid", "goodsid"),
    *("adid", "aid"),
)
TIME_ALIASES = (
    *("time", "timestamp", "ts", "unixreviewtime", "unixtime", "unixtimestamp", "eventtime"),
    *("eventtimestamp", "timestampms", "datetime", "createdat", "ratingtimestamp", "reviewtime"),
    *("at", "occurredat", "clickedat", "viewedat", "orderedat", "purchasedat"),
    *("invoicedate", "orderdate", "eventdate", "purchasedate", "date", "tdat"),
)
RECBOLE_TYPE = re.compile(r":(token|float|token_seq|float_seq)$")
LISTED = 8


@dataclass(frozen=True)
class Columns:
    """The names of the columns that make an event."""

    user: str
    """Who touched something."""
    item: str
    """What was touched."""
    time: str | None
    """When; None if only the order is known."""

    @property
    def names(self) -> list[str]:
        """All names, without the time's if there is none."""
        return [self.user, self.item] + ([] if self.time is None else [self.time])

    def roles(self) -> dict[str, str]:
        """The role of each column, by role."""
        return dict(zip(ROLES, self.names, strict=False))


def find_columns(
    names: Sequence[str],
    where: str,
    *,
    user: str | None = None,
    item: str | None = None,
    time: str | None = None,
) -> Columns:
    """Choose among the columns ``names`` of the file ``where``; a given name goes before aliases.

    Raises:
        DataError: a given column is absent, no user or item column is found, or two are the same.

    >>> find_columns(["reviewerID", "asin", "parent_asin", "unixReviewTime"], "reviews.jsonl")
    Columns(user='reviewerID', item='parent_asin', time='unixReviewTime')
    >>> find_columns(["user_id:token", "item_id:token"], "ml.inter")
    Columns(user='user_id:token', item='item_id:token', time=None)
    """
    chosen_user = _by_name(user, names, where, "user") or by_alias(USER_ALIASES, names)
    chosen_item = _by_name(item, names, where, "item") or by_alias(ITEM_ALIASES, names)
    chosen_time = _by_name(time, names, where, "time") or by_alias(TIME_ALIASES, names)
    if chosen_user is None or chosen_item is None:
        role = "item" if chosen_user else "user"
        header = ", or add a line of names" if any(name.isdigit() for name in names) else ""
        raise DataError(
            f"{where}: no {role} column among {listed(names)}; "
            f"name it with {option(f'{role}-column', where)}{header}",
            code="columns",
        )
    columns = Columns(chosen_user, chosen_item, chosen_time)
    if len(set(columns.names)) < len(columns.names):
        raise DataError(
            f"{where}: user, item and time must be columns of their own, not {columns.names}; "
            f"name them with {', '.join(option(f'{r}-column', where) for r in ROLES)}",
            code="columns",
        )
    return columns


def option(name: str, where: str) -> str:
    """How an option is given: on the command line or, where a data frame is read, in Python.

    >>> option("user-column", "events.csv"), option("skip-bad", DATA_FRAME)
    ('--user-column', 'skip_bad=')
    """
    return f"{name.replace('-', '_')}=" if where == DATA_FRAME else f"--{name}"


def quoted(value: object) -> str:
    """A value as a message shows it: quoted, on one line and of 40 characters at most.

    >>> print(quoted("n/a"), quoted("two\\nlines"), quoted(None))
    "n/a" "two\\nlines" ""
    """
    text = "" if value is None else str(value)
    text = text[:40] + "…" if len(text) > 40 else text
    return '"' + "".join(c if c.isprintable() else repr(c)[1:-1] for c in text) + '"'


def plain(name: str) -> str:
    """A column name as aliases are compared.

    >>> plain("User_ID:token"), plain("unixReviewTime")
    ('userid', 'unixreviewtime')
    """
    return re.sub(r"[\W_]+", "", RECBOLE_TYPE.sub("", name.strip()).casefold())


def _by_name(name: str | None, names: Sequence[str], where: str, role: str) -> str | None:
    if name is None or name in names:
        return name
    matches = [other for other in names if plain(other) == plain(name)]
    if not matches:
        raise DataError(
            f"{where}: no column {quoted(name)} among {listed(names)}; "
            f"give one of these to {option(f'{role}-column', where)}",
            code="columns",
        )
    return matches[0]


def by_alias(aliases: Sequence[str], names: Sequence[str]) -> str | None:
    """The name that the earliest of some aliases stands for; None where none does."""
    plain_names = [plain(name) for name in names]
    indices = [plain_names.index(alias) for alias in aliases if alias in plain_names]
    return names[indices[0]] if indices else None


def doubled(where: str, name: str, times: int) -> DataError:
    """The error for a column that can't be told from others of its name."""
    return DataError(
        f"{where}: {times} columns are called {quoted(name)}; keep one of them, or rename the "
        "others",
        code="columns",
    )


def listed(names: Sequence[str]) -> str:
    """Some names as a message shows them: the first few, none of them long.

    >>> print(listed(["a", "b"]))
    "a", "b"
    """
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(map(quoted, names[:LISTED])) + more
