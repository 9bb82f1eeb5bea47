"""Events as commands read them: any number of paths or a prepared data set, and what was read.

Knows nothing about: what becomes of the events.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from clusterseq.data.dataset import Data, Dataset, is_dataset
from clusterseq.errors import DataError
from clusterseq.reading.columns import quoted
from clusterseq.reading.event_report import EventReport
from clusterseq.reading.events import read_events
from clusterseq.reading.titles import titles_of
from clusterseq.reading.vocab import Vocabulary
from clusterseq.showing.terminal import note


def read_data(
    paths: list[str],
    user_column: str | None = None,
    item_column: str | None = None,
    time_column: str | None = None,
    skip_bad: bool = False,
    *,
    quiet: bool = False,
) -> Data:
    """Read events, or load the data set that ``clusterseq prepare`` made, and say what was read.

    Raises:
        DataError: they can't be read.
    """
    data: Data
    if any(is_dataset(path) for path in paths):
        if len(paths) > 1:
            raise DataError(
                f"{paths[0]}: a data set stands alone; prepare all of its files together"
            )
        data = Dataset.load(paths[0])
    else:
        data = read_events(
            paths if len(paths) > 1 else paths[0],
            user_column=user_column,
            item_column=item_column,
            time_column=time_column,
            skip_bad=skip_bad,
        )
    if not quiet:
        print_report(data.report)
    return data


def warn_of_titles(path: Path | None, titles: pl.DataFrame | None, items: Vocabulary) -> None:
    """Say so where a file of titles has none for any item, as where ids are written otherwise."""
    if titles is None or any(titles_of(titles, items)):
        return
    one, other = quoted(next(iter(titles["item"]), None)), quoted(next(iter(items.series)))
    note(f"{path}: none of its ids is an item's, so none gets a title; compare {one} and {other}")


def items_of(data: Data) -> Vocabulary:
    """All items of the events."""
    return data.items if isinstance(data, Dataset) else Vocabulary.from_ids(data.frame["item"])


def print_report(report: EventReport) -> None:
    """Say what was read."""
    for line in report.lines():
        note(line)
