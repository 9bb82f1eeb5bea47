"""The errors a user can meet, each a subclass of one base so that callers can catch them all.

A message is one line that says what was wrong, where (file, line or column, value) and what to do
about it; the command line prints it and ends with status 2, without a traceback. Its code stays the
same where messages change, and names the page that ``clusterseq help CODE`` prints.

Knows nothing about: what raises them, what the pages say.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Literal, TypeAlias

Code: TypeAlias = Literal[
    "usage",
    "option",
    "extra",
    "extension",
    "data",
    "columns",
    "row",
    "split",
    "output",
    "model",
    "resume",
    "training",
    "memory",
    "store",
    "interrupted",
    "unforeseen",
]
"""What ``clusterseq help`` lists, each with a remedy of its own."""


INTERRUPTED = 130
"""With what status a program ends that Ctrl-C has stopped."""


class ClusterSeqError(Exception):
    """Base of every error that clusterseq raises on purpose.

    >>> ConfigError("faiss is not installed", code="extra").code
    'extra'
    """

    code: Code = "extension"  # ours are all of a kind below; a bare one is an extension's
    """Names the kind of error: ``clusterseq help CODE`` tells more."""

    def __init__(self, message: str, *, code: Code | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class DataError(ClusterSeqError):
    """The events, the dataset or the histories can't be used as they are."""

    code = "data"


class ConfigError(ClusterSeqError):
    """An option or a configuration file is wrong."""

    code = "option"


class CheckpointError(ClusterSeqError):
    """A model directory is missing, damaged or of another version."""

    code = "model"


class TrainingError(ClusterSeqError):
    """A model can't be trained or judged, for example because its loss is no longer finite."""

    code = "training"


def nearest(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """What to write instead of a name that is not known; ``otherwise`` where none is like it."""
    known = list(known)
    matches = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if matches:
        return f'did you mean "{matches[0]}"?'
    return otherwise or "known are " + ", ".join(known)
