"""Events out of a real PostgreSQL, started for these tests on a socket of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from clusterseq.data.dataset import Dataset
from clusterseq.data.prepare import prepare_dataset
from clusterseq.errors import DataError
from clusterseq.reading import sources
from clusterseq.reading.database import rows_of
from clusterseq.reading.events import read_events

USER = "postgres"
FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")


def program(name: str) -> str:
    """Debian keeps the server's programs off the path."""
    found = shutil.which(name)
    others = [str(path) for folder in FOLDERS for path in Path("/").glob(f"{folder[1:]}/{name}")]
    if found is None and not others:
        pytest.skip("PostgreSQL isn't installed; Debian's package postgresql has it")
    return found or max(others)


def run(*words: str) -> None:
    """The server refuses to belong to root."""
    as_somebody = ["runuser", "-u", USER, "--"] if os.geteuid() == 0 else []
    subprocess.run([*as_somebody, *words], check=True, capture_output=True, timeout=60, cwd="/")


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    """The address of a database with a table of clicks."""
    control = program("pg_ctl")
    # Not in pytest's own folder, whose name may be longer than that of a socket can be.
    with tempfile.TemporaryDirectory(prefix="clusterseq-postgres-") as folder:
        if os.geteuid() == 0:
            shutil.chown(folder, USER)
        data, options = f"{folder}/data", f"-k {folder} -c listen_addresses="
        run(program("initdb"), "-D", data, "-U", USER, "--auth=trust", "--encoding=UTF8")
        run(control, "-D", data, "-l", f"{folder}/log", "-o", options, "-w", "start")
        try:
            yield f"postgresql://{USER}:secret@/postgres?host={folder}"
        finally:
            run(control, "-D", data, "-m", "immediate", "stop")


@pytest.fixture(scope="module")
def clicks(shop: str, events_frame: pl.DataFrame) -> str:
    """The same, once the table holds the events of the other tests."""
    from adbc_driver_postgresql import dbapi

    rows = events_frame.with_columns(at=pl.from_epoch("time", time_unit="s")).drop("time")
    with dbapi.connect(shop) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest("clicks", rows.to_arrow(), mode="create")
        connection.commit()
    return shop


def test_a_query_gives_what_a_file_gives(
    clicks: str, events_frame: pl.DataFrame, tmp_path: Path
) -> None:
    query = f'{clicks}#select "user", item, at from clicks order by at'
    from_database, from_frame = read_events(query), read_events(events_frame.sort("time"))
    assert from_database.frame.sort(pl.all()).equals(from_frame.frame.sort(pl.all()))
    assert from_database.report.sources == ("postgresql:///postgres",)
    prepare_dataset(query, tmp_path / "data", shards=2)
    prepared, direct = Dataset.load(tmp_path / "data"), Dataset.from_events(from_frame)
    assert prepared.sequences.items.tolist() == direct.sequences.items.tolist()
    assert "secret" not in (tmp_path / "data" / "dataset.json").read_text()


def test_every_kind_of_number_uuids_and_infinity(clicks: str) -> None:
    rows = "n::numeric as item, extract(epoch from timestamp '2024-01-01') + n / 4.0 as time"
    users = "'00000000-0000-0000-0000-00000000000a'::uuid as \"user\""
    query = f"{clicks}#select {users}, {rows} from generate_series(1, 2) n"
    start = 1_704_067_200_000_000
    assert read_events(query).frame.rows() == [
        ("00000000-0000-0000-0000-00000000000a", "1", start + 250_000),
        ("00000000-0000-0000-0000-00000000000a", "2", start + 500_000),
    ]
    for moment in ("'infinity'::timestamp", "'-infinity'::timestamptz", "'infinity'::date"):
        with pytest.raises(DataError, match=r'row 1: time "-?\d+" is not a time'):
            read_events(f'{clicks}#select 1 as "user", 2 as item, {moment} as time')


def test_a_bad_row_is_told_by_its_place_in_all_of_the_answer(
    clicks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "rows_of", lambda query: in_threes(rows_of(query)))
    query = "select n::text, n::text item, case n when 8 then null else n end at"
    with pytest.raises(DataError, match=r"row 8: the time is missing"):
        read_events(f"{clicks}#{query} from generate_series(1, 9) n", user_column="n")


def in_threes(batches: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    for batch in batches:
        yield from batch.iter_slices(3)


def test_what_the_database_refuses_is_told_without_the_password(clicks: str) -> None:
    wrong = {
        "": "says no query; append one behind a #",
        "#select * from nothing": 'relation "nothing" does not exist',
        "#select 1 as user": "no item column",
        "#select * from clicks where false": "no events in it",
        '#select 1 as "user", 2 as item, 3 as "user"': "two columns have one name",
        "#select 1 as item, interval '1 day' as x": "can't be read as a table",
    }
    for query, message in wrong.items():
        with pytest.raises(DataError, match=message) as caught:
            read_events(f"{clicks}{query}")
        assert "secret" not in str(caught.value)
    with pytest.raises(DataError, match="check the address and the query") as caught:
        read_events("postgresql://me:secret@localhost:1/shop#select 1")
    assert "secret" not in str(caught.value)
