"""A real server that speaks S3, on loopback and without an account."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ports import free_port


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    beside = Path(sys.prefix) / "s3" / "bin" / "moto_server"
    program = str(beside) if beside.exists() else shutil.which("moto_server")
    if program is None:
        pytest.skip("no server that speaks S3; make test installs one in .venv/s3")
    port = free_port()
    words, nowhere = [program, "-H", "127.0.0.1", "-p", str(port)], subprocess.DEVNULL
    with subprocess.Popen(words, stdout=nowhere, stderr=nowhere) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            _until_it_answers(address, process)
            yield address
        finally:
            process.kill()


def _until_it_answers(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            return ask(address, "GET", "moto-api/")
        except OSError:
            assert process.poll() is None, "it runs"
            assert time.monotonic() < deadline, "it answers in time"
            time.sleep(0.05)


def ask(address: str, method: str, path: str, content: bytes | None = None) -> None:
    """Ask it for something by HTTP."""
    kind = {"Content-Type": "application/octet-stream"}
    asked = urllib.request.Request(f"{address}/{path}", content, kind, method=method)
    urllib.request.urlopen(asked, timeout=30).close()


@pytest.fixture
def s3_account(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """An environment with credentials; a test may take some away."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    yield monkeypatch
    ask(s3_server, "POST", "moto-api/reset-auth", b"inf")  # everybody may do everything again
