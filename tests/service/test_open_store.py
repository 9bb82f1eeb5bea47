"""Which store a URL names, and what is said of one that names none."""

from __future__ import annotations

import socket
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterseq.errors import ClusterSeqError, ConfigError, DataError
from clusterseq.service.store import Event, Retention, open_store
from clusterseq.testing.stores import events


@pytest.mark.parametrize(
    "url",
    [
        *("", "sqlite:", "sqlite://relative.db", "memory:x", "redis:localhost", "unix:/a"),
        *("mysql://ann:hunter2@localhost", "ann:hunter2@localhost:6379"),
    ],
)
def test_a_url_that_names_no_store(url: str) -> None:
    with pytest.raises(ConfigError, match="names no history store; give sqlite:PATH") as caught:
        open_store(url, Retention())
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("form", ["{path}", "sqlite:{path}", "SQLite:{path}", "sqlite://{path}"])
def test_a_file_can_be_named_in_several_ways(form: str, tmp_path: Path) -> None:
    path = tmp_path / "a b.db"
    store = open_store(form.format(path=path), Retention())
    store.append("ann", events(1.0))
    store.close()
    assert path.exists()


def test_a_file_that_is_no_store_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE events (mine)")
    other.close()
    with pytest.raises(ConfigError, match=r"it holds something else.*name another file"):
        open_store(str(path), Retention())
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("events",)]
    other.close()
    path.write_text("not a database, though long enough to be taken for one" * 50)
    with pytest.raises(ConfigError, match="not a database"):
        open_store(str(path), Retention())


def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    open_store(str(path), Retention()).close()
    with sqlite3.connect(path) as later:
        later.execute("PRAGMA user_version = 99")
    later.close()
    with pytest.raises(ConfigError, match="another version"):
        open_store(str(path), Retention())


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"No such file.*name a file in a folder that exists"):
        open_store(str(tmp_path / "nowhere" / "store.db"), Retention())
    with pytest.raises(ConfigError, match="unable to open"):
        open_store(str(tmp_path), Retention())


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that is taken and on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_a_redis_that_does_not_answer(scheme: str, closed_port: int) -> None:
    url = f"{scheme}://ann:hunter2@127.0.0.1:{closed_port}/0"
    with pytest.raises(ConfigError, match=f"{scheme}://127.0.0.1:{closed_port} can't be") as caught:
        open_store(url, Retention())
    assert_no_password(caught.value)


def test_a_redis_that_does_not_know_the_password(redis_url: str) -> None:
    with pytest.raises(ConfigError, match=r"AuthenticationError.*password are right") as caught:
        open_store(f"{redis_url}?password=hunter2", Retention())
    assert_no_password(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        *("redis://:hunter2/x@localhost", "redis://ann:7/hunter2@localhost", "redis://:h#unter2@a"),
        *("redis://ann:7?hunter2@localhost", "redis://localhost:hunter2", "redis://[hunter2"),
        *("redis://localhost?db=hunter2", "redis://localhost?hunter2=1", "unix://:hunter2/x@/a"),
    ],
)
def test_a_redis_url_that_can_not_be_read(url: str) -> None:
    with pytest.raises(ConfigError, match=r"can't be read; write .*percent-encoded") as caught:
        open_store(url, Retention())
    assert_no_password(caught.value)
    assert "ann" not in str(caught.value)


def assert_no_password(error: ClusterSeqError) -> None:
    """Neither in the message nor in an error that a traceback would show with it."""
    assert "unter2" not in str(error)
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__


def test_redis_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "clusterseq.service.store.redis_store")
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigError, match=r"pip install 'clusterseq\[serve\]'"):
        open_store("redis://localhost", Retention())


@pytest.mark.parametrize("wrong", [{"length": 0}, {"seconds": 0.0}, {"seconds": float("inf")}])
def test_a_retention_that_keeps_nothing(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="can't be kept; give"):
        Retention(**wrong)  # type: ignore[arg-type]


def test_an_event_needs_a_time() -> None:
    with pytest.raises(DataError, match="finite"):
        Event("e", "i", float("nan"))
