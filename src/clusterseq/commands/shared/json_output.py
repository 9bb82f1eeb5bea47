"""One JSON object, as every command prints it with ``--json``.

Knows nothing about: what it says. Nothing that takes long to import.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any, TextIO


def print_json(values: Mapping[str, Any]) -> None:
    """Print it on standard output, where nothing else is, over as many lines as read well."""
    print(_written(values, getattr(sys.stdout, "encoding", None), indent=2))


def print_json_line(values: Mapping[str, Any], stream: TextIO) -> None:
    """Print it as one line at once, where others come before or somebody waits for it."""
    encoding = getattr(stream, "encoding", None)  # whoever started this may have closed it
    print(_written(values, encoding), file=stream, flush=True)


def _written(values: Mapping[str, Any], encoding: str | None, indent: int | None = None) -> str:
    """As it is read best; with escapes where the encoding lacks a character."""
    text = json.dumps(values, indent=indent, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(values, indent=indent, allow_nan=False)
    return text


def nobody_reads(stream: TextIO) -> None:
    """A pipe was closed at its other end: what Python flushes once more at the end goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
