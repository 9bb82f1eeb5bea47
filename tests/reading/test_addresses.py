"""Parquet by its address, from a real server on loopback that answers ranges."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import polars as pl
import pytest

from clusterseq.data.dataset import Dataset
from clusterseq.data.prepare import prepare_dataset
from clusterseq.errors import DataError
from clusterseq.reading.events import read_events


@pytest.fixture
def address(tmp_path: Path, events_frame: pl.DataFrame) -> Iterator[str]:
    events_frame.write_parquet(tmp_path / "events.parquet")
    content = (tmp_path / "events.parquet").read_bytes()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(b"", len(content), 200)

        def do_GET(self) -> None:
            asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
            if asked is None:
                self._answer(content, len(content), 200)
                return
            start = int(asked[1]) if asked[1] else max(0, len(content) - int(asked[2]))
            last = int(asked[2]) + 1 if asked[1] and asked[2] else len(content)
            stop = min(last, len(content))
            self._answer(content[start:stop], stop - start, 206, f"{start}-{stop - 1}")

        def _answer(self, body: bytes, length: int, status: int, part: str = "") -> None:
            there = self.path == "/events.parquet"
            self.send_response(status if there else 404)
            self.send_header("Content-Length", str(length if there else 0))
            self.send_header("Accept-Ranges", "bytes")
            if part:
                self.send_header("Content-Range", f"bytes {part}/{len(content)}")
            self.end_headers()
            if there:
                self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_it_is_read_as_the_file_is(
    address: str, events_frame: pl.DataFrame, tmp_path: Path
) -> None:
    source = f"{address}/events.parquet"
    assert read_events(source).frame.equals(read_events(events_frame).frame)
    prepare_dataset(source, tmp_path / "data", shards=2)
    prepared, direct = Dataset.load(tmp_path / "data"), Dataset.from_events(read_events(source))
    assert prepared.sequences.items.tolist() == direct.sequences.items.tolist()


def test_what_is_not_there_is_told(address: str) -> None:
    with pytest.raises(DataError, match=r"absent\.parquet: "):
        read_events(f"{address}/absent.parquet")
