"""What a connection answers by itself, before any route is known; the rest is in the soak."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.ports import free_port
from tests.service.serving import served, wait_until


def test_what_a_connection_answers_by_itself_is_counted(model_directory: Path) -> None:
    with served(model_directory, "--store", "memory:") as (service, client):
        with socket.create_connection(("127.0.0.1", service.port), timeout=10) as line:
            line.sendall(b"this is no request\r\n\r\n")
            assert line.recv(100).startswith(b"HTTP/1.1 400")
        wanted = 'clusterseq_requests_total{route="connection",status="400"} 1.0'
        assert wanted in client.get("/metrics").text


def test_an_offer_of_another_protocol_is_ignored(model_directory: Path) -> None:
    """As clients of HTTP/2 make it; the body is a body, and never a request of its own."""
    body = b'{"history": ["m1"], "k": 1}'
    head = (
        b"POST /v1/recommend HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body)
    )
    with served(model_directory, "--store", "memory:") as (service, client):
        for pieces in ([head + body], [head, body], [head[:90], head[90:] + body[:5], body[5:]]):
            with socket.create_connection(("127.0.0.1", service.port), timeout=10) as line:
                for piece in pieces:
                    line.sendall(piece)
                    time.sleep(0.1)
                assert line.recv(1_000).startswith(b"HTTP/1.1 200")
                line.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert b"HTTP/1.1 200" in line.recv(10_000), "the connection goes on"
        client.post("/v1/events", json={"user": "ann", "item": "m1"})
        smuggled = b"DELETE /v1/users/ann HTTP/1.1\r\nHost: localhost\r\n\r\n"
        with socket.create_connection(("127.0.0.1", service.port), timeout=10) as line:
            line.sendall(head.replace(b"%d" % len(body), b"%d" % len(smuggled)))
            time.sleep(0.1)
            line.sendall(smuggled)
            assert line.recv(1_000).startswith(b"HTTP/1.1 400"), "no JSON"
        assert len(client.get("/v1/users/ann").json()["events"]) == 1


def test_connect_is_for_proxies(model_directory: Path) -> None:
    with (
        served(model_directory, "--store", "memory:") as (service, client),
        socket.create_connection(("127.0.0.1", service.port), timeout=10) as line,
    ):
        line.sendall(b"CONNECT localhost:22 HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTTP/1.1\r\n")
        assert line.recv(100).startswith(b"HTTP/1.1 400")
        assert client.get("/healthz").status_code == 200


def test_of_two_that_come_for_a_port_at_once_one_says_that_it_is_taken(
    model_directory: Path, tmp_path: Path
) -> None:
    port = free_port()
    command = [sys.executable, "-m", "clusterseq", "serve", str(model_directory)]
    command += ["--port", str(port), "--store", "memory:"]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        wait_until(lambda: any(one.poll() is not None for one in both), 120)
        (late,) = (one for one in both if one.poll() is not None)
        assert late.returncode == 2
        assert late.stderr is not None
        assert "in use" in late.stderr.read()
    finally:
        for one in both:
            one.terminate()
            one.communicate()
