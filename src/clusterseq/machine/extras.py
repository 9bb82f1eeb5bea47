"""Packages that only some of it needs, and how to install them where they are missing.

Knows nothing about: what the packages do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from clusterseq.errors import ConfigError


@contextmanager
def require_extra(extra: str, what: str) -> Iterator[None]:
    """Say how to install the packages of an extra where they can't be imported.

    Raises:
        ConfigError: one of them isn't there.

    >>> with require_extra("tune", "tuning"):
    ...     import a_missing_package
    Traceback (most recent call last):
    clusterseq.errors.ConfigError: tuning needs a_missing_package: pip install 'clusterseq[tune]'
    """
    try:
        yield
    except ImportError as error:
        missing = error.name or f"a package that can't be loaded ({error})"
        if missing.partition(".")[0] == "clusterseq":
            raise
        raise ConfigError(
            f"{what} needs {missing}: pip install 'clusterseq[{extra}]'", code="extra"
        ) from error
