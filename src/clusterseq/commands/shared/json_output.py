"""One JSON object, as every command prints it with ``--json``.

Knows nothing about: what it says. Nothing that takes long to import.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, TextIO


def print_json(values: Mapping[str, Any]) -> None:
    """Print it on standard output, where nothing else is, over as many lines as read well."""
    print(json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False))


def print_json_line(values: Mapping[str, Any], stream: TextIO) -> None:
    """Print it as one line at once, where others come before or somebody waits for it."""
    print(json.dumps(values, ensure_ascii=False, allow_nan=False), file=stream, flush=True)


def nobody_reads(stream: TextIO) -> None:
    """A pipe was closed at its other end: what Python flushes once more at the end goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
