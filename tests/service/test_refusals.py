"""What a service refuses, and how it says so: problem details that name limit and remedy."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import fields
from io import StringIO
from pathlib import Path

import pytest

from clusterseq.errors import ConfigError
from clusterseq.machine.manifest import MANIFEST
from clusterseq.service.keys import Keyring, add_key
from clusterseq.service.limits import Limits
from clusterseq.service.local import is_loopback
from clusterseq.service.logs import LOG, JsonLines, Unhurried, _Stream, log_to_stderr
from clusterseq.service.server import build
from tests.service.serving import Service, serving, settings_of, wait_until

LIMITS = Limits(
    history=5, k=20, batch=3, events=4, filters=6, id_length=10, body_bytes=2_000, waiting=50
)


@pytest.fixture(scope="module")
def service(model_directory: Path) -> Iterator[Service]:
    with serving(settings_of(model_directory, limits=LIMITS)) as running:
        yield running


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A file of keys, one for each scope."""
    path = tmp_path_factory.mktemp("keys") / "keys.jsonl"
    return path, {scope: add_key(path, scope, [scope]) for scope in ("read", "events", "admin")}


@pytest.fixture(scope="module")
def guarded(model_directory: Path, keys: tuple[Path, dict[str, str]]) -> Iterator[Service]:
    with serving(settings_of(model_directory, keys=keys[0])) as running:
        yield running


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("recommend", {"history": ["a"] * 6}, "history: 6 given, 5 at most"),
        ("recommend", {"history": ["a" * 11]}, "characters of an id in history: 11 given"),
        ("recommend", {"history": [], "k": 21}, "k: 21 given, 20 at most"),
        ("recommend", {"history": [], "k": 0}, "k: Input should be greater than or equal to 1"),
        ("recommend", {"history": [], "exclude": ["a"] * 7}, "exclude: 7 given, 6 at most"),
        ("recommend", {"history": [], "only": ["a"] * 7}, "only: 7 given, 6 at most"),
        ("recommend", {}, "give either history or user"),
        ("recommend", {"history": [], "user": "u"}, "give either history or user"),
        ("recommend", {"history": [], "K": 5}, "K: Extra inputs are not permitted"),
        ("recommend", {"history": [1.5]}, "history.0"),
        ("recommend", {"history": [True]}, "history.0"),
        ("recommend", {"history": [None]}, "history.0"),
        ("recommend", {"history": "ab"}, "history: Input should be a valid list"),
        ("recommend:batch", {"histories": [[]] * 4}, "histories: 4 given, 3 at most"),
        ("recommend:batch", {"histories": []}, "histories"),
        ("events", {"events": [{"user": "u", "item": "i"}] * 5}, "events: 5 given, 4 at most"),
        ("events", {"user": "", "item": "i"}, "user"),
        ("events", {"user": "u", "item": "i", "time": -1}, "time"),
    ],
)
def test_what_is_wrong_is_named(
    service: Service, path: str, body: dict[str, object], told: str
) -> None:
    found = service.client.post(f"/v1/{path}", json=body)
    assert found.status_code == 422
    assert found.headers["Content-Type"] == "application/problem+json"
    problem = found.json()
    assert set(problem) == {"type", "title", "status", "detail"}
    assert told in problem["detail"]


def test_what_a_limit_just_allows_is_served(service: Service) -> None:
    longest = "a" * 10
    several = {"exclude": [longest] * 6, "only": [longest] * 6}
    calls: list[tuple[str, dict[str, object]]] = [
        ("recommend", {"history": [longest] * 5, "k": 20, **several}),
        ("recommend:batch", {"histories": [[longest] * 5] * 3}),
        ("events", {"events": [{"user": "u", "item": longest, "time": 0}] * 4}),
    ]
    for path, body in calls:
        padded = json.dumps(body).ljust(LIMITS.body_bytes)
        headers = {"Content-Type": "application/json"}
        found = service.client.post(f"/v1/{path}", content=padded, headers=headers)
        assert found.status_code == 200, found.text


def test_a_wrong_field_of_a_single_event_is_all_that_is_told(service: Service) -> None:
    body = {"user": "u", "item": "i", "time": -1}
    detail = service.client.post("/v1/events", json=body).json()["detail"]
    assert detail == "time: Input should be greater than or equal to 0"
    several = service.client.post("/v1/events", json={"events": [{"user": "u"}]}).json()["detail"]
    assert several == "events.0.item: Field required"


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("application/x-www-form-urlencoded", "its content type is 'application/x-www-form"),
        (None, "it has no content type"),
    ],
)
def test_json_that_is_not_called_so_is_told(service: Service, kind: str | None, told: str) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    body = b'{"history": ["i01"]}'
    for address in ("/v1/recommend", "/v1/events"):
        found = service.client.post(address, content=body, headers=headers)
        assert found.status_code == 422
        assert told in found.json()["detail"]
        assert "Content-Type: application/json" in found.json()["detail"]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_is_refused_said_or_not(service: Service, chunked: bool) -> None:
    body = b'{"history": ["' + b"a" * 5_000 + b'"]}'
    content = iter([body[:100], body[100:]]) if chunked else body
    found = service.client.post("/v1/recommend", content=content)
    assert found.status_code == 413
    assert "2,000 bytes" in found.json()["detail"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        *((body, 400) for body in (b"{", b"\xff\xfe", b"[" * 900)),
        *((body, 422) for body in (b"", b"[]", b'"a"', b"null")),
    ],
)
def test_a_body_that_is_no_request_is_refused(service: Service, body: bytes, status: int) -> None:
    headers = {"Content-Type": "application/json"}
    found = service.client.post("/v1/recommend", content=body, headers=headers)
    assert found.status_code == status
    assert "Traceback" not in found.text


HALF = b'"\\ud800"'


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("recommend", b'{"history": [%s]}' % HALF),
        ("recommend", b'{"history": [], "exclude": [%s]}' % HALF),
        ("recommend", b'{"user": %s}' % HALF),
        ("recommend", b'{"history": [], %s: 1}' % HALF),
        ("recommend:batch", b'{"histories": [["a"], [%s]]}' % HALF),
        ("events", b'{"user": %s, "item": "a"}' % HALF),
        ("events", b'{"user": "u", "item": %s}' % HALF),
        ("events", b'{"user": "u", "item": "a", "id": %s}' % HALF),
    ],
)
def test_half_a_character_is_refused(service: Service, path: str, body: bytes) -> None:
    """JSON can write it, and no answer could hold it."""
    headers = {"Content-Type": "application/json"}
    found = service.client.post(f"/v1/{path}", content=body, headers=headers)
    assert found.status_code == 422, found.text


def test_what_is_not_there_is_told_as_a_problem(service: Service) -> None:
    found = service.client.get("/v1/nothing")
    assert found.status_code == 404
    assert found.json()["title"] == "Not found"
    assert service.client.get("/v1/recommend").status_code == 405


def test_a_request_id_is_kept_if_it_is_sane(service: Service) -> None:
    sane, insane = ("abc-1.2", "x" * 64), ("a b", "x" * 65, "a:b")
    for given in sane + insane:
        found = service.client.get("/healthz", headers={"X-Request-ID": given})
        assert (found.headers["X-Request-ID"] == given) == (given in sane), given


def test_without_a_key_only_health_is_told(guarded: Service) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/"):
        assert guarded.client.get(path).status_code == 200
    found = guarded.client.post("/v1/recommend", json={"history": []})
    assert found.status_code == 401
    assert found.headers["WWW-Authenticate"] == "Bearer"
    wrong = guarded.client.get("/v1/model", headers={"Authorization": "Bearer cs_wrong"})
    assert wrong.status_code == 401


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_a_key_opens_its_scope_alone(
    guarded: Service, keys: tuple[Path, dict[str, str]], header: str
) -> None:
    calls = {
        "read": ("POST", "/v1/recommend", {"history": []}),
        "events": ("POST", "/v1/events", {"user": "u", "item": "i"}),
        "admin": ("POST", "/v1/model:reload", None),
    }
    for owner, key in keys[1].items():
        value = f"Bearer {key}" if header == "Authorization" else key
        for scope, (method, path, body) in calls.items():
            found = guarded.client.request(method, path, json=body, headers={header: value})
            assert found.status_code == (200 if scope == owner else 403), (owner, scope)


def test_pages_of_other_sites_may_call_where_they_are_named(model_directory: Path) -> None:
    for origins in ((), ("https://a.shop",)):
        with serving(settings_of(model_directory, origins=origins)) as service:
            for origin in ("https://a.shop", "https://b.shop"):
                found = service.client.get("/v1/model", headers={"Origin": origin})
                allowed = found.headers.get("Access-Control-Allow-Origin")
                assert allowed == (origin if origin in origins else None)
                asked = {
                    "Origin": origin,
                    "Access-Control-Request-Method": "POST",
                    "Access-Control-Request-Headers": "authorization,content-type,x-api-key",
                }
                found = service.client.options("/v1/recommend", headers=asked)
                assert (found.status_code == 200) == (origin in origins)


def test_pages_of_other_sites_may_read_why_they_are_refused(model_directory: Path) -> None:
    shop = "https://a.shop"
    with serving(settings_of(model_directory, limits=LIMITS, origins=(shop,))) as service:
        too_large = {"history": ["a" * LIMITS.body_bytes]}
        found = service.client.post("/v1/recommend", json=too_large, headers={"Origin": shop})
        assert found.status_code == 413
        assert found.headers["Access-Control-Allow-Origin"] == shop
        found = service.client.get("/v1/users/%ff", headers={"Origin": shop})
        assert found.status_code == 400
        assert found.headers["Access-Control-Allow-Origin"] == shop


def test_a_file_without_a_key_lets_nobody_in(model_directory: Path, tmp_path: Path) -> None:
    (tmp_path / "keys.jsonl").write_text("\n")
    with pytest.raises(ConfigError, match="holds no key, so nobody could call"):
        build(settings_of(model_directory, keys=tmp_path / "keys.jsonl"))


def test_a_key_whose_line_is_gone_opens_nothing_after_a_reload(
    model_directory: Path, tmp_path: Path
) -> None:
    path = tmp_path / "keys.jsonl"
    admin, shop = add_key(path, "boss", ["admin"]), add_key(path, "shop", ["read"])

    def status(key: str, method: str, address: str) -> int:
        headers = {"X-API-Key": key}
        body = {"history": ["i01"]} if address.endswith("recommend") else None
        return running.client.request(method, address, json=body, headers=headers).status_code

    with serving(settings_of(model_directory, keys=path)) as running:
        assert status(shop, "POST", "/v1/recommend") == 200
        path.write_text(path.read_text().splitlines()[0])  # and no newline at the end
        later = add_key(path, "later", ["read"])
        assert status(admin, "POST", "/v1/model:reload") == 200
        assert status(shop, "POST", "/v1/recommend") == 401
        assert status(later, "POST", "/v1/recommend") == 200
        path.write_text("")
        assert status(admin, "POST", "/v1/model:reload") == 409
        assert status(later, "POST", "/v1/recommend") == 200


def test_a_key_can_be_taken_away_where_the_model_is_broken(
    model_directory: Path, tmp_path: Path
) -> None:
    shutil.copytree(model_directory, tmp_path / "model")
    path = tmp_path / "keys.jsonl"
    admin, shop = add_key(path, "boss", ["admin"]), add_key(path, "shop", ["read"])
    with serving(settings_of(tmp_path / "model", keys=path)) as running:
        path.write_text(path.read_text().splitlines()[0])
        (tmp_path / "model" / MANIFEST).write_text("{}")
        headers = {"X-API-Key": admin}
        assert running.client.post("/v1/model:reload", headers=headers).status_code == 409
        assert running.client.get("/v1/model", headers={"X-API-Key": shop}).status_code == 401


def test_without_a_key_no_body_is_read(guarded: Service) -> None:
    """Else whoever has none could fill the memory: the answer comes before the body does."""
    address = ("127.0.0.1", guarded.client.base_url.port)
    with socket.create_connection(address, timeout=10) as line:
        line.sendall(
            b"POST /v1/recommend HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n"
            b"Content-Type: application/json\r\n\r\n["
        )
        assert line.recv(100).startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "10.0.0.1", "[::1", ""])
def test_without_keys_no_name_but_this_machine_is_answered(service: Service, host: str) -> None:
    found = service.client.get("/v1/users/ann", headers={"Host": host})
    assert found.status_code == 403
    assert "under localhost" in found.json()["detail"]


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000"])
def test_without_keys_this_machine_is_answered(service: Service, host: str) -> None:
    assert service.client.get("/v1/users/ann", headers={"Host": host}).status_code == 200


def test_without_keys_no_page_of_another_site_changes_anything(model_directory: Path) -> None:
    shop = "https://a.shop"
    with serving(settings_of(model_directory, origins=(shop,))) as running:

        def status(origin: str) -> int:
            headers = {"Origin": origin}
            return running.client.delete("/v1/users/ann", headers=headers).status_code

        assert [status("https://evil.example"), status("null")] == [403, 403]
        assert [status(shop), status("http://localhost:3000")] == [200, 200]


@pytest.mark.parametrize("address", ["/v1/users/J%F6rg", "/v1/items?query=%FF"])
def test_an_address_that_is_not_utf8_names_nobody(service: Service, address: str) -> None:
    method = "DELETE" if "users" in address else "GET"
    found = service.client.request(method, address)
    assert (found.status_code, found.json()["title"]) == (400, "Address not understood")


def test_reloads_are_counted_from_nought(service: Service) -> None:
    told = service.client.get("/metrics").text
    assert 'clusterseq_reloads_total{outcome="refused"} 0.0' in told


def test_a_hash_that_is_none_is_no_key(tmp_path: Path) -> None:
    line = {"name": "a", "sha256": "é" * 64, "scopes": ["read"]}
    (tmp_path / "bad").write_text(json.dumps(line))
    with pytest.raises(ConfigError, match="line 1: a key with an unknown scope or hash"):
        Keyring.read(tmp_path / "bad")


def test_a_log_that_nobody_reads_holds_nobody_up() -> None:
    reading, told = threading.Event(), list[str]()

    class Stalled(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            reading.wait()
            told.append(record.getMessage())

    log = Unhurried(Stalled(), waiting=2)
    for number in range(9):
        log.emit(logging.makeLogRecord({"name": "any", "msg": f"line {number}"}))
    assert log.dropped >= 6
    reading.set()
    log.finish(seconds=10.0)
    assert told[-1].startswith("line")
    assert any("lines were dropped" in line for line in told)


def test_a_line_that_cannot_be_formatted_ends_no_log() -> None:
    stream = StringIO()
    writer = _Stream(stream)
    writer.setFormatter(JsonLines())
    log = Unhurried(writer)
    for message, given in (("%d items", ("many",)), ("%d items", (3,))):
        log.emit(logging.LogRecord("any", logging.INFO, "", 0, message, given, None))
    log.finish(seconds=10.0)
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["3 items"]


def test_a_log_whose_stream_is_closed_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    handlers, stream = list(LOG.handlers), open(os.devnull, "w")  # noqa: SIM115
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stderr", stream)
            log_to_stderr("info")
        (log,) = LOG.handlers
        assert isinstance(log, Unhurried)
        stream.close()
        LOG.warning("nobody reads this")
        log.finish(seconds=10.0)
    finally:
        LOG.handlers[:] = handlers
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["", " ", "a\nb"])
def test_a_key_has_a_name_that_can_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="a key can't be named"):
        add_key(tmp_path / "keys.jsonl", name, ["read"])


def test_no_cache_keeps_what_is_told_of_a_person(service: Service) -> None:
    for address in ("/v1/users/ann", "/v1/model", "/nowhere"):
        assert service.client.get(address).headers["Cache-Control"] == "no-store"
    assert service.client.get("/").headers["Cache-Control"] == "no-cache"


def test_keys_are_kept_as_hashes_for_their_owner_alone(
    keys: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    path, made = keys
    assert path.stat().st_mode & 0o077 == 0
    assert not any(key in path.read_text() for key in made.values())
    ring = Keyring.read(path)
    assert [key.name for key in ring.keys] == list(made)
    assert ring.find(made["events"]) == ring.keys[1]
    assert ring.find("cs_" + "é" * 40) is None
    with pytest.raises(ConfigError, match="has a key already"):
        add_key(path, "read", ["read"])
    with pytest.raises(ConfigError, match='no scope "write"'):
        add_key(tmp_path / "k", "a", ["write"])
    (tmp_path / "bad").write_text('{"name": "a"}\n')
    with pytest.raises(ConfigError, match="line 1: not a key"):
        Keyring.read(tmp_path / "bad")
    (tmp_path / "bad").write_text("[" * 100_000)
    with pytest.raises(ConfigError, match="line 1: not a key"):
        Keyring.read(tmp_path / "bad")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::", "a.shop"])
def test_other_machines_are_let_in_with_keys_or_a_word(model_directory: Path, host: str) -> None:
    with pytest.raises(ConfigError, match="--insecure"):
        settings_of(model_directory, host=host)
    assert settings_of(model_directory, host=host, insecure=True).insecure
    assert settings_of(model_directory, host=host, keys=model_directory).keys


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_this_machine_needs_neither(model_directory: Path, host: str) -> None:
    assert is_loopback(host)
    assert settings_of(model_directory, host=host)


@pytest.mark.parametrize("name", [each.name for each in fields(Limits)])
def test_a_limit_allows_something(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        Limits(**{name: type(getattr(Limits(), name))(0)})


def test_nobody_may_ask_for_more_than_a_ranking_holds(model_directory: Path) -> None:
    with pytest.raises(ConfigError, match="limit k = 129: a ranking holds 128"):
        build(settings_of(model_directory, limits=Limits(k=129)))


def test_the_log_holds_no_history(service: Service) -> None:
    lines: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(JsonLines().format(record))

    keeper = Keeper()
    LOG.addHandler(keeper)
    LOG.setLevel("DEBUG")
    try:
        service.recommend(history=["i41", "secret"], exclude=["hidden"])
        wait_until(lambda: lines)  # a line is written when the answer is on its way
    finally:
        LOG.removeHandler(keeper)
    assert '"route": "/v1/recommend"' in lines[-1]
    assert not any(word in line for line in lines for word in ("i41", "secret", "hidden"))
