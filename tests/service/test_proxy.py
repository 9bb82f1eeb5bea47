"""The nginx of the page about proxies, run in front of a service, with TLS and keys."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from clusterseq.service.keys import add_key
from clusterseq.service.limits import Limits
from tests.docs.blocks import DOCS, blocks_of
from tests.ports import free_port
from tests.service.serving import PATIENCE, Served, served, wait_until

NAME = "recs.example.com"
KNOWN_PATHS = f"{os.environ['PATH']}:/usr/sbin"
FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
DISGUISES = ("/metrics", "//metrics", "/%6detrics", "/metrics?x=1", "/metrics/")
UNDER_A_PATH = ("/recs/metrics", "/recs//metrics", "/recs/%6detrics", "/recs/metrics/")


def blocks() -> list[str]:
    """What the page shows of nginx: a whole configuration, and what goes into it for a path."""
    page = blocks_of(DOCS / "how-to" / "proxy.md")
    return [block.text for block in page if block.language == "nginx"]


def configured(folder: Path, service: int, port: int) -> str:
    """The page's configuration, but for ports and places, in what Debian has around it."""
    whole, under_a_path = blocks()
    here = {
        "127.0.0.1:8000": f"127.0.0.1:{service}",
        "listen 443": f"listen 127.0.0.1:{port}",
        "/etc/ssl/recs": str(folder / "recs"),
    }
    for told, used in here.items():
        assert told in whole
        whole = whole.replace(told, used)
    whole = f"{whole.rstrip().removesuffix('}')}{under_a_path}}}\n"
    temporary = "".join(f"{name}_temp_path {folder / name};\n" for name in FOLDERS)
    http = f"http {{\naccess_log off;\n{temporary}{whole}}}\n"
    head = f"daemon off;\nuser root;\npid {folder / 'pid'};\nerror_log {folder / 'error.log'};\n"
    return f"{head}events {{}}\n{http}"  # the user is taken by root alone


def program(name: str) -> str:
    found = shutil.which(name, path=KNOWN_PATHS)
    if found is None:
        pytest.skip(f"{name} isn't installed; Debian's package {name} has it")
    return found


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A file of keys, and the key in it."""
    path = tmp_path_factory.mktemp("keys") / "keys.jsonl"
    return path, add_key(path, "shop", ["read"])


@pytest.fixture(scope="module")
def behind(model_directory: Path, key: tuple[Path, str]) -> Iterator[Served]:
    program("nginx")
    with served(model_directory, "--store", "memory:", "--keys", str(key[0])) as (service, _):
        yield service


@pytest.fixture(scope="module")
def proxy(
    behind: Served, key: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx2.Client]:
    """A client of nginx, which it knows by its certificate."""
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    certificate, secret = folder / "recs.pem", folder / "recs.key"
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={NAME}"]
    words += ["-addext", f"subjectAltName=DNS:{NAME},IP:127.0.0.1"]
    words += ["-keyout", str(secret), "-out", str(certificate)]
    subprocess.run([program("openssl"), *words], check=True, capture_output=True)
    (folder / "nginx.conf").write_text(configured(folder, behind.port, port))
    command = [program("nginx"), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    with subprocess.Popen(command) as process:
        try:
            wait_until(lambda: process.poll() is not None or listens(port))
            assert process.poll() is None, (folder / "error.log").read_text()
            told = {"Authorization": f"Bearer {key[1]}"}
            trusted = ssl.create_default_context(cafile=str(certificate))
            url = f"https://127.0.0.1:{port}"
            with httpx2.Client(
                base_url=url, verify=trusted, headers=told, timeout=PATIENCE
            ) as client:
                yield client
        finally:
            process.terminate()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def recommended(client: httpx2.Client, **headers: str) -> httpx2.Response:
    return client.post("/v1/recommend", json={"history": ["i03"], "k": 2}, headers=headers)


def test_requests_go_through_with_an_id_that_the_log_knows(
    proxy: httpx2.Client, behind: Served
) -> None:
    found = recommended(proxy, **{"X-Request-ID": "of-the-client"})
    assert (found.status_code, len(found.json()["items"])) == (200, 2)
    name = found.headers["X-Request-ID"]
    assert re.fullmatch("[0-9a-f]{32}", name), "nginx gives each request its own"
    wait_until(lambda: any(name in line for line in behind.said))


def test_keys_go_through_and_so_does_what_is_said_without_one(
    proxy: httpx2.Client, key: tuple[Path, str]
) -> None:
    assert recommended(proxy, Authorization="", **{"X-API-Key": key[1]}).status_code == 200
    refused = recommended(proxy, Authorization="")
    assert refused.status_code == 401
    assert refused.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("path", [*DISGUISES, *UNDER_A_PATH])
def test_numbers_are_not_for_the_world(proxy: httpx2.Client, path: str) -> None:
    found = proxy.get(str(proxy.base_url).rstrip("/") + path, follow_redirects=True)
    assert found.status_code in (403, 404)  # where slashes aren't merged it is no address of ours
    assert "clusterseq_" not in found.text


def test_a_body_that_is_too_large_is_told_by_the_service_and_then_by_nginx(
    proxy: httpx2.Client,
) -> None:
    limit = Limits().body_bytes
    too_large = proxy.post("/v1/recommend", content=b" " * (limit + 1))
    assert too_large.status_code == 413
    assert f"{limit:,} bytes" in too_large.json()["detail"]
    far_too_large = proxy.post("/v1/recommend", content=b" " * 3 * limit)
    assert (far_too_large.status_code, far_too_large.headers["Server"][:5]) == (413, "nginx")
    assert "nginx" in far_too_large.text


def test_connections_to_the_service_are_kept(proxy: httpx2.Client, behind: Served) -> None:
    recommended(proxy)
    before = behind.open_files()
    for _ in range(20):
        assert recommended(proxy).status_code == 200
    assert behind.open_files() == before


def test_under_a_path_the_page_finds_all_its_parts(proxy: httpx2.Client) -> None:
    page = proxy.get("/recs/")
    assert page.status_code == 200
    parts = re.findall(r'(?:src|href)="([^"#]+)"', page.text)
    assert len(parts) > 3
    for part in parts:
        found = proxy.get(f"/recs/{part}")
        assert found.status_code == 200, part
        assert not re.search(r"""(?:from|import|fetch\()\s*["'`]/""", found.text), part
    document = json.loads(proxy.get("/recs/openapi.json").text)
    assert "/v1/recommend" in document["paths"]


def test_who_waits_for_whom() -> None:
    """nginx waits longer than the service does, and lets go of an idle connection before it."""
    whole = blocks()[0]
    seconds = {name: int(found) for name, found in re.findall(r"(\w+_timeout) (\d+)s;", whole)}
    limits = Limits()
    assert seconds["keepalive_timeout"] < limits.client_seconds
    assert seconds["proxy_read_timeout"] > limits.store_seconds + limits.deadline_ms / 1000
