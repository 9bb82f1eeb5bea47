"""What every reader of events promises, be it of a kind of file or of addresses.

Knows nothing about: formats.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from clusterseq.data.dataset import Dataset
from clusterseq.data.prepare import prepare_dataset
from clusterseq.errors import DataError
from clusterseq.reading.events import read_events

EVENTS = pl.DataFrame(
    {
        "user": ["ann", "bob", "ann", "007", "bob", "ann"],
        "item": ["milk", "milk", "Ünïcødé 🛒", "07", "two words", "milk"],
        "time": [1_700_000_000 + second for second in (0, 5, 10, 10, 7, 20)],
    }
)
"""What a source has to hold: some events, with times in seconds since 1970."""


@dataclass(frozen=True)
class Written:
    """What a reader reads."""

    source: str
    """The path or address that users give, of ``EVENTS``."""
    missing: str
    """One of the same kind where nothing is."""


class ReaderContract:
    """Name a subclass ``Test…`` and give it the fixture ``written``."""

    @pytest.fixture
    def written(self) -> Written:
        """Where the events lie."""
        raise NotImplementedError("give the fixture written: where EVENTS lie, and where nothing")

    def test_events_come_as_they_were_written(self, written: Written) -> None:
        events = read_events(written.source)
        assert events.timed
        assert events.frame.rows() == EVENTS.with_columns(pl.col("time") * 1_000_000).rows()
        assert events.report.sources == (written.source,)

    def test_reading_again_gives_the_same(self, written: Written) -> None:
        assert read_events(written.source).frame.equals(read_events(written.source).frame)

    def test_columns_can_be_named(self, written: Written) -> None:
        columns = read_events(written.source).report.columns
        named = read_events(
            written.source,
            user_column=columns["item"],
            item_column=columns["user"],
            time_column=columns["time"],
        )
        assert named.frame["user"].to_list() == EVENTS["item"].to_list()
        with pytest.raises(DataError, match='no column "elsewhere"'):
            read_events(written.source, time_column="elsewhere")

    def test_it_is_prepared_out_of_core_as_it_is_read(
        self, written: Written, tmp_path: Path
    ) -> None:
        prepare_dataset(written.source, tmp_path / "data", shards=2)
        prepared = Dataset.load(tmp_path / "data")
        whole = Dataset.from_events(read_events(written.source))
        assert prepared.users.ids == whole.users.ids
        assert prepared.items.ids == whole.items.ids
        assert [row.tolist() for row in prepared.sequences] == [
            row.tolist() for row in whole.sequences
        ]

    def test_it_stands_beside_a_file(self, written: Written, tmp_path: Path) -> None:
        other = tmp_path / "other.csv"
        other.write_text("user,item,time\neve,tea,1700000000\n")
        both = read_events([written.source, str(other)])
        assert both.report.users == EVENTS["user"].n_unique() + 1

    def test_where_nothing_is_that_is_said(self, written: Written) -> None:
        with pytest.raises(DataError) as caught:
            read_events(written.missing)
        assert written.missing in str(caught.value)
