"""What the Redis store has to itself: keys, their expiry, and a server that fails."""

from __future__ import annotations

import pytest
from redis import Redis
from redis.crc import key_slot

from clusterseq.service.store import Retention, StoreError, open_store, redis_store
from clusterseq.testing.stores import HOSTILE, events
from tests.service.conftest import RedisServer
from tests.service.stored import calls


def test_a_dead_redis_is_a_store_error(own_redis: RedisServer) -> None:
    store = open_store(own_redis.url, Retention())
    store.append("ann", events(1.0))
    own_redis.kill()
    for call in calls(store):
        with pytest.raises(StoreError, match="can't be reached") as caught:
            call()
        assert "/" not in str(caught.value), "no address"
    store.close()


def test_a_redis_that_is_full_is_a_store_error(own_redis: RedisServer) -> None:
    store = open_store(own_redis.url, Retention())
    with Redis.from_url(own_redis.url) as client:
        client.config_set("maxmemory", "1")
        with pytest.raises(StoreError, match=r"refused \(OutOfMemoryError\)"):
            store.append("ann", events(1.0))
    assert store.history("ann") == []
    store.close()


def test_a_redis_that_forgot_the_script_learns_it_again(redis_url: str) -> None:
    store = open_store(redis_url, Retention())
    store.append("ann", events(1.0))
    with Redis.from_url(redis_url) as client:
        client.script_flush()
    assert store.append("ann", events(1.0, 2.0)) == 1
    store.close()


def test_every_key_expires_anew_and_none_survives_an_erase(redis_url: str) -> None:
    brief, long = (open_store(redis_url, Retention(1, seconds)) for seconds in (100.0, 1000.0))
    with Redis.from_url(redis_url) as client:
        brief.append("ann", events(1.0, 2.0))
        keys = list(client.scan_iter())
        assert len(keys) == len(redis_store.KINDS)
        assert all(0 < client.pttl(key) <= 100_000 for key in keys)
        assert long.append("ann", events(1.0, 2.0)) == 0
        assert all(100_000 < client.pttl(key) <= 1_000_000 for key in keys)
        assert long.erase("ann") == 1
        assert not list(client.scan_iter())
    assert long.purge() == 0
    brief.close()
    long.close()


@pytest.mark.parametrize("user", HOSTILE)
def test_keys_of_a_user_lie_in_one_slot(user: str) -> None:
    keys = redis_store._keys(user)
    assert len({key_slot(key.encode()) for key in keys}) == 1
    assert all(key.startswith("clusterseq:{") for key in keys)


@pytest.mark.parametrize("kind", redis_store.KINDS)
def test_a_redis_that_evicts_a_key_takes_more(redis_url: str, kind: str) -> None:
    """As one does that is short of memory and whose policy lets it; a server is asked for none."""
    store, touched = open_store(redis_url, Retention(2)), events(1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    store.append("ann", touched[:3])
    with Redis.from_url(redis_url) as client:
        (evicted,) = client.scan_iter(f"*:{kind}")
        client.delete(evicted)
        assert [store.append("ann", [event]) for event in touched[3:]] == [1, 1, 1]
        assert all(client.pttl(key) > 0 for key in client.scan_iter()), "none stays for ever"
    assert [event.time for event in store.history("ann")] == [5.0, 6.0]
    store.close()
