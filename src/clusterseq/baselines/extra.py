"""The packages of the extra ``bench``, which only peers need and which are imported when used.

Knows nothing about: what the packages do.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from clusterseq.errors import ConfigError


def required(module: str) -> ModuleType:
    """A module of the extra, or how to install it.

    >>> required("a_missing_package.its_module")
    Traceback (most recent call last):
    clusterseq.errors.ConfigError: a_missing_package is needed: pip install 'clusterseq[bench]'
    """
    try:
        return import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise ConfigError(
            f"{package} is needed: pip install 'clusterseq[bench]'", code="extra"
        ) from None
