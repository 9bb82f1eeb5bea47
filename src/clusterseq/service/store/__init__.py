"""Where the service keeps histories: in memory, in an SQLite file, or in Redis.

Knows nothing about: HTTP, models.
"""

from __future__ import annotations

import re
from pathlib import Path

from clusterseq.errors import ConfigError
from clusterseq.service.store.protocol import Event, HistoryStore, Retention, StoreError
from clusterseq.service.store.sqlite import SQLiteStore

__all__ = ["Event", "HistoryStore", "Retention", "StoreError", "open_store"]

_FORMS = "give sqlite:PATH, redis://HOST:PORT/DB, rediss://…, unix://SOCKET or memory:"


def open_store(url: str, retention: Retention) -> HistoryStore:
    """Open the store that a URL names; a bare path is an SQLite file.

    Raises:
        ConfigError: the URL can't be read, or what it names can't be used.

    >>> store = open_store("memory:", Retention())
    >>> store.append("ann", [Event("1", "milk", 0.0), Event("1", "milk", 0.0)])
    1
    >>> store.history("ann")
    [Event(id='1', item='milk', time=0.0)]
    """
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):", url)  # more than a letter, which is a drive
    scheme, rest = (found[1].lower(), url[found.end() :]) if found else ("sqlite", url)
    if scheme in ("redis", "rediss", "unix") and rest.startswith("//"):
        return _open_redis(f"{scheme}:{rest}", retention)
    if scheme == "sqlite" and rest and (not rest.startswith("//") or rest.startswith("///")):
        return SQLiteStore(Path(rest), retention)
    if scheme == "memory" and not rest:
        return SQLiteStore(None, retention)
    # The rest isn't shown, because it may hold a password.
    raise ConfigError(f'"{scheme}:" names no history store; {_FORMS}')


def _open_redis(url: str, retention: Retention) -> HistoryStore:
    try:
        from clusterseq.service.store.redis_store import RedisStore
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "redis":
            raise
        raise ConfigError(
            "a history store in Redis needs the redis package; install the extra: "
            "pip install 'clusterseq[serve]'"
        ) from None
    return RedisStore(url, retention)
