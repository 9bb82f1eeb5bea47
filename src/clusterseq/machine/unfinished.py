"""Where a training that isn't finished keeps what it has, and who is at work there.

Knows nothing about: what is kept, trainings.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from clusterseq.errors import DataError

LOCK = "lock"
"""Held while somebody is at work at such a place."""


def unfinished_at(out: str | Path) -> Path:
    """Where a training that is to end in ``out`` keeps its state and its log.

    Raises:
        DataError: it is the root of all folders, which nothing lies beside.

    >>> unfinished_at("models/films").name
    'films.training'
    """
    path = Path(out).resolve() if Path(out).name in ("", "..") else Path(out)
    if not path.name:
        raise DataError(f"{out}: nothing can take its place; name a folder inside", code="output")
    return path.with_name(path.name + ".training")


@contextmanager
def exclusive_lock(unfinished: Path) -> Iterator[None]:
    """Keep other trainings and updates from a place; what died there before holds nothing any more.

    The place is gone afterwards if nothing is left in it but the lock.

    Raises:
        DataError: another one is at work there, or the place can't be written.
    """
    lock = FileLock(unfinished / LOCK, timeout=0)
    try:
        unfinished.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise DataError(
            f"{unfinished}: another training is at work here; wait for its end, or name another "
            "place",
            code="output",
        ) from error
    except OSError as error:
        message = f"{unfinished}: {error.strerror or error}; name another place"
        raise DataError(message, code="output") from error
    try:
        yield
    finally:
        if [entry.name for entry in unfinished.glob("*")] == [LOCK]:
            shutil.rmtree(unfinished, ignore_errors=True)
        lock.release()


def abandoned(unfinished: Path) -> bool:
    """Whether nobody is at work there, as far as can be told."""
    if not (unfinished / LOCK).exists():
        return True
    try:
        with FileLock(unfinished / LOCK, timeout=0):
            return True
    except (Timeout, OSError):  # it isn't stopped, or is somebody else's
        return False
