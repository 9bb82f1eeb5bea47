"""A directory written whole or not at all, so that a killed save leaves the former one loadable.

Knows nothing about: what the directory holds.
"""

from __future__ import annotations

import glob
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from clusterseq.errors import DataError
from clusterseq.machine.files import sync

NEW, SCRATCH = "new", "scratch"
"""What drafts and directories for the way are called."""
ABANDONED_S = 24 * 3600
"""A draft that nobody has touched for so long is of a save that was killed."""


@contextmanager
def replacing(directory: str | Path, *, marker: str) -> Iterator[Path]:
    """Yield an empty directory that takes the place of ``directory`` when the block ends well.

    A former directory is replaced only if it holds the file ``marker`` (or nothing at all).

    Raises:
        DataError: the place is taken by something else, or can't be written, for example because
            the disk is full; then what was there before is there still.
    """
    target = _resolved(directory)  # a link stays, and what it leads to is replaced
    try:
        require_replaceable(directory, marker)
        target.parent.mkdir(parents=True, exist_ok=True)
        _clear_away(target)
        draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.{NEW}-", dir=target.parent))
    except OSError as error:
        raise DataError(
            f"{directory}: {error.strerror}; name a place that can be written", code="output"
        ) from error
    try:
        yield draft
        draft.chmod(0o777 & ~_umask())
        for file in draft.iterdir():
            sync(file)
        sync(draft)
        require_replaceable(directory, marker)  # something may have come there meanwhile
        _swap(draft, target)
    except OSError as error:
        raise DataError(
            f"{directory}: {error.strerror or error}; free some room or name another place (what "
            "was there before is kept)",
            code="output",
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def require_replaceable(directory: str | Path, marker: str, what: str | None = None) -> None:
    """Refuse a place that ``replacing`` couldn't fill, before minutes are spent on what goes there.

    ``what`` is what a directory with that marker is called.

    Raises:
        DataError: something without the file ``marker`` lies there, or nothing can be put there.
    """
    target = _resolved(directory)
    if target.exists() and not (target / marker).exists() and not _is_empty(target):
        reason = f"holds no {what or marker}, so it isn't replaced; name another place"
    elif target.is_mount():
        reason = "is a mount point, which can't be replaced; name a folder inside of it"
    elif not os.access(next(parent for parent in target.parents if parent.exists()), os.W_OK):
        reason = "can't be written; name another place"
    else:
        return
    raise DataError(f"{directory}: {reason}", code="output")


def _resolved(directory: str | Path) -> Path:
    try:
        return Path(directory).resolve()
    except (OSError, RuntimeError) as error:  # links that lead to each other
        raise DataError(
            f"{directory}: leads nowhere ({error}); name another place", code="output"
        ) from error


@contextmanager
def scratch(beside: str | Path) -> Iterator[Path]:
    """A directory for what is needed on the way, beside a target; gone when the block ends."""
    target = Path(beside).resolve()
    _clear_away(target)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.{SCRATCH}-", dir=target.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def current_path(directory: str | Path) -> Path:
    """Where the directory lies now: the former one, if a kill fell into the swap itself."""
    target = Path(directory)
    former = _former(target.resolve())
    return former if not target.exists() and former.exists() else target


def _clear_away(target: Path) -> None:
    """Remove the drafts of saves that were killed, and what they needed on the way."""
    name = glob.escape(target.name)
    drafts = (target.parent.glob(f".{name}.{kind}-*") for kind in (NEW, SCRATCH))
    for draft in chain.from_iterable(drafts):
        if time.time() - draft.stat().st_mtime > ABANDONED_S:
            shutil.rmtree(draft, ignore_errors=True)


def _swap(draft: Path, target: Path) -> None:
    former = _former(target)
    if target.exists():
        shutil.rmtree(former, ignore_errors=True)
        target.rename(former)
    draft.rename(target)
    sync(target.parent)
    shutil.rmtree(former, ignore_errors=True)


def _former(target: Path) -> Path:
    return target.parent / f".{target.name}.old"


def _is_empty(target: Path) -> bool:
    return target.is_dir() and not any(target.iterdir())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
