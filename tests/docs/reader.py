"""Does what a page says, block by block: commands, Python, requests, files of options.

Commands of clusterseq run in this process, by the function behind the command line. A service is
started, asked whether it is ready, and told to stop. Requests go to one that runs already.

Knows nothing about: what the pages are about.
"""

from __future__ import annotations

import gc
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import threading
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from clusterseq.cli import main
from clusterseq.config import Config
from clusterseq.values import from_dict
from tests.docs.blocks import ROOT, Block
from tests.ports import free_port

SERVICE = re.compile(r"(?:localhost|127\.0\.0\.1):8000")
STATUS = re.compile(r"# .*\bstatus (\d+)")
PLAIN = ("cat", "echo")
"""Programs that every machine has, and that do nothing but write."""
PATIENCE = 60.0


class Reader:
    """Does what a page says, in the folder where it is."""

    def __init__(self, address: str, captured: pytest.CaptureFixture[str]) -> None:
        self.address, self.captured = address, captured
        self.names: dict[str, Any] = {"__name__": "page"}
        self.printed = ""

    def follow(self, block: Block) -> None:
        """Do what one block says; what isn't done by anybody is data, or has to say so."""
        doings = {
            **{"sh": self._shell, "python": self._python, "json": self._json},
            **{"toml": self._toml, "yaml": self._yaml},
        }
        if block.is_printed:
            self._compare(block)
        elif block.is_run and block.language in doings:
            doings[block.language](block)

    def _shell(self, block: Block) -> None:
        self.captured.readouterr()
        if re.search(r"^\s*curl ", block.text, re.MULTILINE):
            self._request(block)
        else:
            for line in statements(block.text):
                self._command(line, block.place)
        self.printed = "".join(self.captured.readouterr())

    def _command(self, line: str, place: str) -> None:
        words = shlex.split(line, comments=True)
        if words[0] == "clusterseq":
            wanted = int(found[1]) if (found := STATUS.search(line)) else 0
            run = serve if words[1] == "serve" else main
            assert run(words[1:]) == wanted, f"{place}: {line}"
        elif words[0] in PLAIN:
            subprocess.run(["bash", "-euo", "pipefail", "-c", line], check=True)
        elif words[0] == "make":
            plan = ["make", "-n", "-C", str(ROOT), *words[1:]]
            subprocess.run(plan, check=True, stdout=subprocess.DEVNULL)
        elif words[:2] == ["pip", "install"]:
            extras = re.findall(r"\[([\w,]+)\]", line)
            known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
            asked = {extra for group in extras for extra in group.split(",")}
            assert asked <= set(known["optional-dependencies"]), f"{place}: {line}"
        else:
            raise AssertionError(
                f"{place}: nobody here runs {words[0]}; say <!-- not run: why --> above the block"
            )

    def _request(self, block: Block) -> None:
        if shutil.which("curl") is None:
            pytest.skip("curl isn't installed")
        text = SERVICE.sub(self.address, block.text)
        fails = 'curl() { command curl --fail-with-body -s "$@"; }\n'
        subprocess.run(["bash", "-euo", "pipefail", "-c", fails + text], check=True)

    def _python(self, block: Block) -> None:
        self.captured.readouterr()
        text = SERVICE.sub(self.address, block.text)
        exec(compile(text, block.place, "exec"), self.names)  # the project's own pages
        self.printed = "".join(self.captured.readouterr())

    def _compare(self, block: Block) -> None:
        """Each line is printed, but for the dots at its end, and however it was wrapped."""
        printed = " ".join(self.printed.split())
        for line in block.text.splitlines():
            told = " ".join(line.rstrip("… ").split())
            assert told in printed, f"{block.place}: {told!r} is not in {printed!r}"

    def _toml(self, block: Block) -> None:
        from_dict(Config, tomllib.loads(block.text))

    def _yaml(self, block: Block) -> None:
        assert list(yaml.safe_load_all(block.text))

    def _json(self, block: Block) -> None:
        json.loads(block.text)


def statements(text: str) -> Iterator[str]:
    """The commands of a block, each on one line, without empty lines and whole-line comments."""
    for line in text.replace("\\\n", " ").splitlines():
        if shlex.split(line, comments=True):
            yield line


def serve(words: list[str]) -> int:
    """Serve until it is ready, then be told to stop, as an operator's SIGTERM does."""
    port = free_port()
    over = threading.Event()
    stopper = threading.Thread(target=_stop_when_ready, args=(port, over))
    former = signal.getsignal(signal.SIGTERM)
    stopper.start()
    try:
        return main([*words, "--port", str(port), "--log-level", "error"])
    finally:
        over.set()
        stopper.join()
        signal.signal(signal.SIGTERM, former)
        gc.unfreeze()


def _stop_when_ready(port: int, over: threading.Event) -> None:
    end = time.monotonic() + PATIENCE
    while not over.wait(0.02):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=PATIENCE).close()
        except OSError:
            if time.monotonic() < end:
                continue
        os.kill(os.getpid(), signal.SIGTERM)
        return
