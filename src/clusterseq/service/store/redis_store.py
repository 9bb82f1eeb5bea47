"""Histories in Redis, for services on several machines that share them.

All keys of a user carry the user as their hash tag, so that they lie in one slot of a cluster. One
script appends, so that nobody ever sees half of it. How safe an acknowledged event is depends on
the server: ask it for ``appendonly yes`` and ``appendfsync always`` to lose nothing at all.

Knows nothing about: HTTP, models.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast
from urllib.parse import quote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from clusterseq.errors import ConfigError
from clusterseq.service.store.codec import pack_item, pack_text, unpack_item, unpack_text
from clusterseq.service.store.protocol import Event, Retention, StoreError

TIMEOUT_SECONDS = 2.0
"""How long to wait for the server, unless the URL says otherwise."""
ARRIVAL_DIGITS = 16
"""Equal times are ordered by the bytes of a member, hence by a number with leading zeros."""
KINDS = ("events", "ids", "gone", "arrivals")

# events: scored by time; a member is the arrival, the length of the id, ":", the id, the item.
# ids and gone: the ids of events kept, and of those let go, scored by arrival.
# arrivals: how many there were.
_APPEND = """
local events, ids, gone, arrivals = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local length, remembered, expiry = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local new = 0
for at = 4, #ARGV, 3 do
  local id, item, time = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  if not redis.call('ZSCORE', ids, id) and not redis.call('ZSCORE', gone, id) then
    local arrival = redis.call('INCR', arrivals)
    redis.call('ZADD', ids, arrival, id)
    local member = string.format('%016.0f', arrival) .. #id .. ':' .. id .. item
    redis.call('ZADD', events, time, member)
    new = new + 1
  end
end
local excess = redis.call('ZCARD', events) - length
if excess > 0 then
  for _, member in ipairs(redis.call('ZRANGE', events, 0, excess - 1)) do
    local size = string.match(string.sub(member, 17, 40), '^%d+')
    local start = 17 + #size + 1
    local id = string.sub(member, start, start + tonumber(size) - 1)
    redis.call('ZADD', gone, string.sub(member, 1, 16), id)
    redis.call('ZREM', ids, id)
  end
  redis.call('ZREMRANGEBYRANK', events, 0, excess - 1)
  redis.call('ZREMRANGEBYRANK', gone, 0, -remembered - 1)
end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, expiry) end
return new
"""


class RedisStore:
    """A history store on a Redis server."""

    def __init__(self, url: str, retention: Retention) -> None:
        """Connect to ``redis://…``, ``rediss://…`` or ``unix://…``.

        Raises:
            ConfigError: the URL can't be read, or the server doesn't answer.
        """
        self._retention = retention
        address = _address(url)
        try:
            self._redis = redis.Redis.from_url(
                url,
                protocol=2,  # all that is needed, and every server speaks it
                socket_timeout=TIMEOUT_SECONDS,
                socket_connect_timeout=TIMEOUT_SECONDS,
                # A connection that the server closed in the meantime is opened anew, once.
                retry=Retry(NoBackoff(), 1),
            )
            self._append = self._redis.register_script(_APPEND)
            self._redis.ping()
        except (redis.RedisError, OSError) as error:
            raise ConfigError(
                f"the Redis server at {address} can't be used ({_kind(error)}); "
                "see that it runs, and that address and password are right",
                code="store",
            ) from None  # the library's message might show what the URL holds
        except (TypeError, ValueError):
            raise _unreadable(urlsplit(url).scheme) from None

    def append(self, user: str, events: Sequence[Event]) -> int:
        """Keep the events whose id is new for this user; return how many were new."""
        if not events:
            return 0
        expiry = max(1, round(1000 * self._retention.seconds))
        values: list[str | bytes | int] = [
            self._retention.length,
            self._retention.remembered,
            expiry,
        ]
        for event in events:
            values += [pack_text(event.id), pack_item(event.item), repr(float(event.time))]
        with _store_errors():
            return int(cast(int, self._append(keys=_keys(user), args=values)))

    def history(self, user: str) -> list[Event]:
        """Events of a user, oldest first by time, then arrival; none if unknown or expired."""
        with _store_errors():
            rows = self._redis.zrange(_keys(user)[0], 0, -1, withscores=True)
        return [_event(*row) for row in cast(list[tuple[bytes, float]], rows)]

    def erase(self, user: str) -> int:
        """Erase all that is kept of a user; return how many events that was."""
        keys = _keys(user)
        with _store_errors(), self._redis.pipeline(transaction=True) as pipeline:
            pipeline.zcard(keys[0])
            pipeline.delete(*keys)
            return int(pipeline.execute()[0])

    def purge(self) -> int:
        """Nothing: Redis forgets by itself those who have expired."""
        return 0

    def ping(self) -> None:
        """Do nothing if the server answers; else raise StoreError."""
        with _store_errors():
            self._redis.ping()

    def close(self) -> None:
        """Close the connections; the store is not to be used afterwards."""
        self._redis.close()


def _keys(user: str) -> list[str]:
    """Keys of a user; a brace in a user's name would end the hash tag, so it is escaped."""
    tag = quote(pack_text(user), safe="")
    return [f"clusterseq:{{{tag}}}:{kind}" for kind in KINDS]


def _event(member: bytes, time: float) -> Event:
    size, _, rest = member[ARRIVAL_DIGITS:].partition(b":")
    end = int(size)
    return Event(unpack_text(rest[:end]), unpack_item(rest[end:]), time)


def _address(url: str) -> str:
    """The URL without user, password and options, so that it can be shown."""
    scheme = url.partition(":")[0]
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "localhost", parts.port or 6379
    except ValueError:
        raise _unreadable(scheme) from None
    # A password with a slash that isn't escaped ends the authority early: part of it would show.
    if "@" in parts.path + parts.query + parts.fragment or parts.fragment:
        raise _unreadable(scheme)
    return f"{scheme}://{parts.path}" if scheme == "unix" else f"{scheme}://{host}:{port}"


def _unreadable(scheme: str) -> ConfigError:
    form = "/PATH?db=0" if scheme == "unix" else "HOST:PORT/DB"
    return ConfigError(
        f"the {scheme}:// URL of the history store can't be read; write {scheme}://[USER:PASSWORD@]"
        f"{form}, with each of /?#@: in the password percent-encoded",
        code="store",
    )


@contextmanager
def _store_errors() -> Iterator[None]:
    """Redis' errors become StoreError, which tells clients no address."""
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
        raise StoreError(f"the history store can't be reached ({_kind(error)})") from error
    except redis.RedisError as error:
        raise StoreError(f"the history store refused ({_kind(error)})") from error


def _kind(error: Exception) -> str:
    return type(error).__name__
