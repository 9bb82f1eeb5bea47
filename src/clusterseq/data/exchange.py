"""Events as other libraries take them: RecBole's atomic files and RecTools' tables of interactions.

Both come back by ``read_events``: a file ``.inter`` by its ending, a table of RecTools by the names
of its columns.

Knows nothing about: how events are read, models.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import polars as pl

from clusterseq.data.dataset import Data, Dataset, require_data
from clusterseq.errors import ConfigError, DataError
from clusterseq.machine.files import write_whole
from clusterseq.reading.columns import quoted
from clusterseq.reading.times import iso

SECOND = 1_000_000
YEARS = (-62_135_596_800 * SECOND, 253_402_300_800 * SECOND - 1)
"""The first and the last microsecond of the years 1 to 9999."""
INTER = ".inter"
RECTOOLS: Mapping[str, Callable[[pl.DataFrame, IO[bytes]], Any]] = {
    ".parquet": lambda frame, file: frame.write_parquet(file),
    ".csv": lambda frame, file: frame.write_csv(file),
    ".jsonl": lambda frame, file: frame.write_ndjson(file),
}
"""Endings of tables in RecTools' columns."""


def rows_of(data: Data) -> pl.DataFrame:
    """``user``, ``item`` and ``time`` of every event, in the order that they were read or happened.

    Raises:
        DataError: it is neither events nor a data set.

    >>> from clusterseq.reading.events import read_events
    >>> events = read_events(pl.DataFrame({"user": ["u", "v"], "item": [7, 8], "time": [20, 10]}))
    >>> rows_of(Dataset.from_events(events)).rows()
    [('v', 8, 10000000), ('u', 7, 20000000)]
    """
    require_data(data)
    if not isinstance(data, Dataset):
        return data.frame
    sequences = data.sequences
    frame = pl.DataFrame(
        {
            "user": data.users.series.gather(sequences.user_of_event),
            "item": data.items.series.gather(sequences.items),
            "time": pl.Series(sequences.times),
        }
    )
    return frame.sort("time", maintain_order=True)


def rectools_frame(data: Data) -> pl.DataFrame:
    """Events as ``rectools.dataset.Dataset.construct`` takes them, once ``.to_pandas()`` is called.

    Raises:
        DataError: the events have no times, which RecTools can't do without, or one is no date.

    >>> from clusterseq.reading.events import read_events
    >>> events = read_events(pl.DataFrame({"user": ["u"], "item": [7], "time": ["2024-05-01"]}))
    >>> rectools_frame(events).columns, rectools_frame(events)["datetime"].dt.year().to_list()
    (['user_id', 'item_id', 'weight', 'datetime'], [2024])
    """
    require_data(data)
    if not data.report.timed:
        raise DataError("these events have no times, and RecTools needs them; write .inter instead")
    rows = rows_of(data)
    _check_dates(rows["time"])
    return rows.select(
        user_id="user",
        item_id="item",
        weight=pl.lit(1.0),
        datetime=pl.from_epoch("time", time_unit="us"),
    )


def _check_dates(times: pl.Series) -> None:
    """Refuse times that few programs could read as dates."""
    beyond = times.filter(~times.is_between(*YEARS))
    if len(beyond):
        raise DataError(
            f"the time {iso(beyond[0])} is outside the years 1 to 9999, where dates end; leave "
            "such events out, or write .inter"
        )


def inter_frame(data: Data) -> pl.DataFrame:
    """Events as text in the typed columns of RecBole's atomic files.

    Raises:
        DataError: an id holds a tab or a line break, for which these files have no quotes.

    >>> from clusterseq.reading.events import read_events
    >>> rows = {"user": ["u", "u"], "item": [7, 8], "time": [60.0, 61.5]}
    >>> inter_frame(read_events(pl.DataFrame(rows))).rows()
    [('u', '7', '60'), ('u', '8', '61.500000')]
    """
    rows = rows_of(data)
    columns = {
        "user_id:token": pl.col("user").cast(pl.String),
        "item_id:token": pl.col("item").cast(pl.String),
    }
    if data.report.timed:
        columns["timestamp:float"] = _seconds()
    frame = rows.select(**columns)
    for name in ("user_id:token", "item_id:token"):
        broken = frame.filter(pl.col(name).str.contains(r"[\t\r\n]"))
        if len(broken):
            raise DataError(
                f"the id {quoted(broken[name][0])} holds a tab or a line break, which .inter "
                "can't; rename it or write another format"
            )
    return frame


def export_events(data: Data, path: str | Path) -> int:
    """Write events for RecBole (``.inter``) or RecTools (``.parquet``, ``.csv``, ``.jsonl``).

    The file appears whole or not at all. Returns the number of events.

    Raises:
        ConfigError: the ending is none of these.
        DataError: the format can't hold these events, or the place can't be written.
    """
    target, buffer = Path(path), io.BytesIO()
    ending = target.suffix.lower()
    if ending == INTER:
        frame = inter_frame(data)
        frame.write_csv(buffer, separator="\t", quote_style="never")
    elif ending in RECTOOLS:
        frame = rectools_frame(data)
        RECTOOLS[ending](frame, buffer)
    else:
        raise ConfigError(
            f"{path}: unknown ending; write RecBole's {INTER} or, for RecTools, "
            f"{', '.join(RECTOOLS)}",
            code="output",
        )
    write_whole(target, buffer.getvalue())
    return len(frame)


def _seconds() -> pl.Expr:
    """Microseconds as decimal seconds, exactly, and no decimals where there is nothing to say."""
    magnitude, empty = pl.col("time").abs(), pl.lit("")
    fraction = pl.concat_str(pl.lit("."), (magnitude % SECOND).cast(pl.String).str.zfill(6))
    decimals = pl.when(magnitude % SECOND == 0).then(empty).otherwise(fraction)
    sign = pl.when(pl.col("time") < 0).then(pl.lit("-")).otherwise(empty)
    return pl.concat_str(sign, magnitude // SECOND, decimals)
