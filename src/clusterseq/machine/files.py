"""A file written whole or not at all, so that a kill leaves the former one or none; folders.

Knows nothing about: what the files hold.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import stat
from pathlib import Path

from clusterseq.errors import DataError

FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
"""What a system says where nothing more can be written."""


def write_whole(path: Path, content: bytes) -> None:
    """Put ``content`` in the place of whatever lies at ``path``, in one step.

    A link stays one, who may read it may go on to, and what is no file, such as a pipe, is written
    to.

    Raises:
        DataError: the place can't be written.
    """
    try:
        path = path.resolve()
        if path.exists() and not path.is_file() and not path.is_dir():
            path.write_bytes(content)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.parent / f".{secrets.token_hex(8)}.new"
        try:
            with draft.open("xb") as file:  # for whom the umask says
                file.write(content)
            if path.exists():
                draft.chmod(stat.S_IMODE(path.stat().st_mode))
            put_in_place(draft, path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise DataError(
            f"{path}: {error.strerror}; name a place that can be written", code="output"
        ) from error


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, where there is none yet.

    Raises:
        DataError: something else lies there, or nothing can be put there.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{path}: can't be a folder ({error.strerror}); name another place", code="output"
        ) from error


def put_in_place(draft: Path, path: Path) -> None:
    """Let a finished file take the place of whatever lies at ``path``, in one step."""
    sync(draft)
    draft.replace(path)


def sync(path: Path) -> None:
    """Wait until a file or a directory is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def slug(text: str) -> str:
    """A text as part of a file's name, on any system.

    >>> slug("clusterseq -memory")
    'clusterseq-memory'
    """
    return re.sub(r"[^\w.]+", "-", text)


def file_sha256(path: Path) -> str:
    """The digest of a file, read a piece at a time."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
