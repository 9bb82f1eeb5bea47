"""What the SQLite store has to itself: the file, what is left in it, and what ends it."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clusterseq.service.store import Event, Retention, StoreError, open_store, sqlite_file
from clusterseq.service.store import sqlite as module
from clusterseq.service.store.sqlite import SQLiteStore
from clusterseq.testing.stores import events, ids
from tests.service.conftest import Clock
from tests.service.stored import calls


@pytest.fixture
def sqlite(tmp_path: Path, clock: Clock) -> Iterator[SQLiteStore]:
    store = SQLiteStore(tmp_path / "store.db", Retention(length=3, seconds=100.0), clock)
    yield store
    store.close()


def written(folder: Path) -> bytes:
    """All bytes in a folder, those of the write-ahead log among them."""
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


def test_sqlite_judges_expiry_by_the_last_activity(sqlite: SQLiteStore, clock: Clock) -> None:
    sqlite.append("ann", events(1.0))
    clock.wait(99.0)
    assert sqlite.append("ann", events(1.0)) == 0
    clock.wait(99.0)
    assert ids(sqlite) == ["e0"]
    clock.wait(1.0)
    assert ids(sqlite) == []


def test_sqlite_purges_who_has_expired(
    sqlite: SQLiteStore, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusterseq.service.store.sqlite.PURGED_AT_ONCE", 2)
    for user in ("old1", "old2", "old3"):
        sqlite.append(user, events(1.0))
    clock.wait(60.0)
    sqlite.append("young", events(1.0))
    assert sqlite.purge() == 0
    clock.wait(60.0)
    assert sqlite.purge() == 3
    assert ids(sqlite, "young") == ["e0"]
    assert b"old" not in written(tmp_path)
    assert b"young" in written(tmp_path)


def test_what_is_erased_leaves_no_byte(sqlite: SQLiteStore, tmp_path: Path) -> None:
    secret = [Event(f"secretid{n}", f"secretitem{n}", float(n)) for n in range(8)]
    sqlite.append("secretuser", secret)
    sqlite.append("bob", events(1.0))
    assert all(word in written(tmp_path) for word in (b"secretuser", b"secretid0", b"secretitem7"))
    assert sqlite.erase("secretuser") == 3
    assert (tmp_path / "store.db-wal").stat().st_size < 10_000, "the log was emptied"
    assert b"secret" not in written(tmp_path)
    assert ids(sqlite, "bob") == ["e0"]


def test_no_copy_stays_where_rows_were_moved_between_pages(tmp_path: Path) -> None:
    """Without rewriting the file, two ids of this draw stay in unused parts of pages."""
    store, draw = open_store(f"sqlite:{tmp_path}/store.db", Retention()), random.Random(0)
    for round_ in range(20):
        for user in range(20):
            some = [
                Event(f"evt<{user}>{draw.random()}", f"itm<{user}>{round_}", draw.random())
                for _ in range(5)
            ]
            store.append(f"user<{user}>", some)
    for user in range(0, 20, 2):
        assert store.erase(f"user<{user}>") == 100
    left = written(tmp_path)
    assert not [user for user in range(0, 20, 2) if f"<{user}>".encode() in left]
    assert b"<1>" in left
    store.close()


@pytest.mark.parametrize("finish", ["erase", "purge"])
def test_copies_of_the_expired_go_with_the_next_erase_or_within_a_day(
    tmp_path: Path, finish: str
) -> None:
    clock, draw = Clock(), random.Random(0)
    store = SQLiteStore(tmp_path / "store.db", Retention(100, module.REWRITTEN_EVERY), clock)
    store.purge()

    def touch(users: range) -> None:
        for user in users:
            padding = "x" * draw.randrange(40)
            some = [Event(f"evt<{user}>{draw.random()}{padding}", "i", 1.0) for _ in range(5)]
            store.append(f"user<{user}>", some)

    for _ in range(30):
        touch(range(40))
    clock.wait(0.6 * module.REWRITTEN_EVERY)
    touch(range(1, 40, 2))
    clock.wait(0.5 * module.REWRITTEN_EVERY)
    if finish == "erase":
        store.purge()
        assert store.erase("user<0>") == 0
    else:
        assert store.purge() == 20
    left = written(tmp_path)
    assert not [user for user in range(0, 40, 2) if f"<{user}>".encode() in left]
    assert b"<1>" in left
    store.close()


def test_a_clock_that_is_set_back_puts_no_rewriting_off(tmp_path: Path, clock: Clock) -> None:
    store = SQLiteStore(tmp_path / "store.db", Retention(100, module.REWRITTEN_EVERY), clock)
    clock.wait(1e8)
    store.purge()
    clock.wait(-1e8)
    store.append("ann", events(1.0))
    clock.wait(module.REWRITTEN_EVERY)
    assert store.purge() == 1
    store.close()
    with sqlite3.connect(tmp_path / "store.db") as file:
        assert file.execute("SELECT erasures FROM unfinished").fetchall() == [(0,)]


def test_an_interrupted_erase_is_finished_when_the_file_is_opened(
    sqlite: SQLiteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.db"
    sqlite.append("ann", events(1.0))
    with monkeypatch.context() as patch:
        patch.setattr("clusterseq.service.store.sqlite._finish_erasures", lambda _: None)
        sqlite.erase("ann")
    with sqlite3.connect(path) as spy:
        assert spy.execute("SELECT erasures FROM unfinished").fetchall() == [(1,)]
        open_store(str(path), Retention()).close()
        assert spy.execute("SELECT erasures FROM unfinished").fetchall() == [(0,)]
    spy.close()


def test_an_erase_that_a_reader_holds_back_hinders_nobody_from_opening(
    sqlite: SQLiteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.db"
    monkeypatch.setattr(sqlite_file, "BUSY_SECONDS", 0.05)
    sqlite.append("ann", events(1.0))
    with monkeypatch.context() as patch:
        patch.setattr("clusterseq.service.store.sqlite._finish_erasures", lambda _: None)
        sqlite.erase("ann")
    backup = sqlite3.connect(path, isolation_level=None)
    backup.execute("BEGIN")
    backup.execute("SELECT count(*) FROM events").fetchall()
    later = open_store(str(path), Retention())
    with pytest.raises(StoreError, match="erase again"):
        later.purge()
    backup.close()
    later.purge()
    later.close()
    with sqlite3.connect(path) as spy:
        assert spy.execute("SELECT erasures FROM unfinished").fetchall() == [(0,)]
    spy.close()


def test_bytes_that_a_reader_holds_back_are_erased_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "BUSY_SECONDS", 0.05)
    store = open_store(str(tmp_path / "store.db"), Retention())
    store.append("secretuser", events(1.0))
    reader = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM people").fetchall()
    with pytest.raises(StoreError, match="erase again"):
        store.erase("secretuser")
    reader.execute("COMMIT")
    reader.close()
    assert store.history("secretuser") == []
    assert b"secret" in written(tmp_path)
    assert store.erase("secretuser") == 0
    assert b"secret" not in written(tmp_path)
    store.close()


def test_opening_waits_for_another_that_makes_the_file(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    other.execute("CREATE TABLE passing (by)")
    timer = threading.Timer(0.1, other.execute, ["ROLLBACK"])
    timer.start()
    store = open_store(str(tmp_path / "store.db"), Retention())
    timer.join()
    other.close()
    assert store.append("ann", events(1.0)) == 1
    store.close()


def test_the_files_are_for_their_owner_alone(sqlite: SQLiteStore, tmp_path: Path) -> None:
    sqlite.append("ann", events(1.0))
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"store.db": 0o600, "store.db-wal": 0o600, "store.db-shm": 0o600}


def test_every_commit_is_synced(sqlite: SQLiteStore) -> None:
    for guarded in (sqlite._reader, sqlite._writer):
        with guarded.use() as connection:
            assert sqlite_file.number(connection, "PRAGMA synchronous") == 2
            assert sqlite_file.number(connection, "PRAGMA secure_delete") == 1
            assert connection.execute("PRAGMA journal_mode").fetchall() == [("wal",)]


WRITER = """
import itertools, sys
from clusterseq.service.store import Event, Retention, open_store
store = open_store(sys.argv[1], Retention(length=10_000))
for n in itertools.count():
    store.append("ann", [Event(str(n), n, 0.0)])
    print(n, flush=True)
"""


def test_a_killed_process_loses_nothing_acknowledged(tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")
    command = [sys.executable, "-c", WRITER, path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = [process.stdout.readline().strip() for _ in range(20)]
        process.kill()
        acknowledged += process.stdout.read().split()
    store = open_store(path, Retention(length=10_000))
    kept = ids(store)
    store.close()
    assert acknowledged[:3] == ["0", "1", "2"]
    # One more may have been kept than was acknowledged: the kill can fall in between.
    assert kept[: len(acknowledged)] == acknowledged
    assert len(kept) <= len(acknowledged) + 1


def test_a_store_that_is_locked_says_so_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "BUSY_SECONDS", 0.05)
    store = open_store(str(tmp_path / "store.db"), Retention())
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked") as caught:
        store.append("ann", events(1.0))
    assert str(tmp_path) not in str(caught.value)
    assert store.history("ann") == []
    other.execute("ROLLBACK")
    other.close()
    assert store.append("ann", events(1.0)) == 1
    store.close()


def test_a_failing_append_leaves_nothing_behind(sqlite: SQLiteStore) -> None:
    with sqlite._writer.use() as connection:
        connection.execute(
            "CREATE TEMP TRIGGER wall BEFORE INSERT ON events WHEN NEW.id = CAST('e1' AS BLOB) "
            "BEGIN SELECT RAISE(ABORT, 'wall'); END"
        )
    with pytest.raises(StoreError, match="wall"):
        sqlite.append("ann", events(1.0, 2.0))
    assert ids(sqlite) == []
    assert sqlite.append("ann", events(1.0)) == 1


def test_who_writes_at_the_same_time_shares_a_commit(sqlite: SQLiteStore) -> None:
    people, commits = [f"p{number}" for number in range(6)], []
    write = sqlite._appends._write

    def counted(works: Sequence[tuple[bytes, list[tuple[bytes, str, float]]]]) -> Sequence[int]:
        commits.append(len(works))
        return write(works)

    sqlite._appends._write = counted
    with ThreadPoolExecutor(1 + len(people)) as pool:
        with sqlite._writer.use():  # the disk is slow: one writes, the others come meanwhile
            first = pool.submit(sqlite.append, "first", events(1.0))
            while not commits:
                time.sleep(0.001)
            others = [pool.submit(sqlite.append, user, events(1.0, 2.0)) for user in people]
            while len(sqlite._appends._waiting) < len(people):
                time.sleep(0.001)
        assert first.result() == 1
        assert [one.result() for one in others] == [2] * len(people)
    assert commits == [1, len(people)]
    assert [ids(sqlite, user) for user in people] == [["e0", "e1"]] * len(people)


def test_who_shared_a_commit_that_failed_is_told(sqlite: SQLiteStore) -> None:
    with sqlite._writer.use() as connection:
        connection.execute(
            "CREATE TEMP TRIGGER wall BEFORE INSERT ON events WHEN NEW.id = CAST('e1' AS BLOB) "
            "BEGIN SELECT RAISE(ABORT, 'wall'); END"
        )
    with ThreadPoolExecutor(2) as pool:
        with sqlite._appends._turn:
            both = [pool.submit(sqlite.append, name, events(1.0, 2.0)) for name in ("ann", "bob")]
            while len(sqlite._appends._waiting) < len(both):
                time.sleep(0.001)
        for one in both:
            with pytest.raises(StoreError, match="wall"):
                one.result()
    assert ids(sqlite, "ann") == ids(sqlite, "bob") == []
    assert sqlite.append("ann", events(1.0)) == 1


def test_ping_finds_a_file_that_is_gone(sqlite: SQLiteStore, tmp_path: Path) -> None:
    sqlite.ping()
    (tmp_path / "store.db").rename(tmp_path / "moved.db")
    with pytest.raises(StoreError, match="moved or removed") as caught:
        sqlite.ping()
    assert str(tmp_path) not in str(caught.value)
    with pytest.raises(StoreError, match="moved or removed"):
        sqlite.append("ann", events(1.0))
    with pytest.raises(StoreError, match="moved or removed"):
        sqlite.erase("ann")


def test_who_is_erased_at_the_same_time_costs_one_rewriting(
    sqlite: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewritings = []
    finish = module._finish_erasures

    def counted(connection: sqlite3.Connection) -> None:
        if sqlite_file.number(connection, "SELECT erasures FROM unfinished"):
            rewritings.append(True)
        finish(connection)

    people = [f"p{number}" for number in range(6)]
    for user in people:
        sqlite.append(user, events(1.0, 2.0))
    monkeypatch.setattr(module, "_finish_erasures", counted)
    monkeypatch.setattr(module, "GATHER_SECONDS", 0.5)
    with ThreadPoolExecutor(len(people)) as pool:
        assert list(pool.map(sqlite.erase, people)) == [2] * len(people)
    assert len(rewritings) == 1


def test_a_closed_store_is_dead(sqlite: SQLiteStore) -> None:
    sqlite.close()
    for call in calls(sqlite):
        with pytest.raises(StoreError, match="closed"):
            call()
