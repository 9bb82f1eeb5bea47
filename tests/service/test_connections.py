"""What a connection answers by itself, before any route is known; the rest is in the soak."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.service.serving import served


def test_what_a_connection_answers_by_itself_is_counted(model_directory: Path) -> None:
    with served(model_directory) as (service, client):
        with socket.create_connection(("127.0.0.1", service.port), timeout=10) as line:
            line.sendall(b"this is no request\r\n\r\n")
            assert line.recv(100).startswith(b"HTTP/1.1 400")
        wanted = 'clusterseq_requests_total{route="connection",status="400"} 1.0'
        assert wanted in client.get("/metrics").text
