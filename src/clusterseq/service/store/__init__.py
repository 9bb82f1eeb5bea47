"""Where the service keeps histories: in memory, in an SQLite file, in Redis, or in what a package
brings.

Knows nothing about: HTTP, models.
"""

from __future__ import annotations

import re
from pathlib import Path

from clusterseq.errors import ConfigError
from clusterseq.extensions import Extension, extension
from clusterseq.machine.extras import require_extra
from clusterseq.service.store.protocol import Event, HistoryStore, Retention, StoreError
from clusterseq.service.store.sqlite import SQLiteStore

__all__ = ["Event", "HistoryStore", "Retention", "StoreError", "is_shared", "open_store"]

_REDIS = ("redis", "rediss", "unix")
_FORMS = "give sqlite:PATH, redis://HOST:PORT/DB, rediss://…, unix://SOCKET or memory:"


def open_store(url: str, retention: Retention) -> HistoryStore:
    """Open the store that a URL names; a bare path is an SQLite file.

    A scheme that isn't ours is that of a store of an installed package (``extensions``), which is
    called with the URL and the retention.

    Raises:
        ConfigError: the URL can't be read, or what it names can't be used.

    >>> store = open_store("memory:", Retention())
    >>> store.append("ann", [Event("1", "milk", 0.0), Event("1", "milk", 0.0)])
    1
    >>> store.history("ann")
    [Event(id='1', item='milk', time=0.0)]
    """
    scheme, rest = _split_url(url)
    if scheme in _REDIS and rest.startswith("//"):
        return _open_redis(f"{scheme}:{rest}", retention)
    if scheme == "sqlite" and rest and (not rest.startswith("//") or rest.startswith("///")):
        return SQLiteStore(Path(rest), retention)
    if scheme == "memory" and not rest:
        return SQLiteStore(None, retention)
    if scheme not in (*_REDIS, "sqlite", "memory") and (package := extension("stores", scheme)):
        return _open_extension(package, url, retention)
    # The rest isn't shown, because it may hold a password.
    raise ConfigError(f'"{scheme}:" names no history store; {_FORMS}', code="store")


def is_shared(url: str) -> bool:
    """Whether several processes that open a URL keep one history; a package's store says so itself.

    >>> is_shared("redis://localhost"), is_shared("histories.sqlite")
    (True, False)

    Raises:
        ConfigError: the package of the store can't be loaded.
    """
    scheme, rest = _split_url(url)
    if scheme in (*_REDIS, "sqlite", "memory"):
        return scheme in _REDIS and rest.startswith("//")
    package = extension("stores", scheme)
    return package is not None and bool(getattr(package.load(), "shared", False))


def _split_url(url: str) -> tuple[str, str]:
    """Scheme and rest; more than a letter before the colon, which is a drive."""
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):", url)
    return (match[1].lower(), url[match.end() :]) if match else ("sqlite", url)


def _open_extension(package: Extension, url: str, retention: Retention) -> HistoryStore:
    store = package.load()(url, retention)
    if not isinstance(store, HistoryStore):
        raise package.refused(f"opens {type(store).__name__}, which is no history store")
    return store


def _open_redis(url: str, retention: Retention) -> HistoryStore:
    with require_extra("serve", "a history store in Redis"):
        from clusterseq.service.store.redis_store import RedisStore
    return RedisStore(url, retention)
