"""Where a service listens: taken before anything is loaded, and told once it lets clients in.

Knows nothing about: what is served.
"""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from clusterseq.errors import ConfigError
from clusterseq.service.logs import LOG

EVERY_S = 0.05
"""How often somebody looks whether the service listens."""


def bound(host: str, port: int) -> socket.socket:
    """A socket that has the address; nobody is let in before the service listens there.

    Raises:
        ConfigError: the address is another's, or not one of this machine.
    """
    address = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        if sys.platform != "win32":  # where it would let two services have one port
            address.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        address.bind((host, port))
    except OSError as error:
        address.close()
        raise taken(host, port, str(error.strerror)) from error
    address.set_inheritable(True)
    return address


def taken(host: str, port: int, reason: str) -> ConfigError:
    """The error for an address that can't be had."""
    return ConfigError(f"{_url(host, port)}: {reason}; give another --port or --host")


@contextmanager
def announced(address: socket.socket, ready: Callable[[str], None]) -> Iterator[None]:
    """While the block runs, wait until this process or its children listen, and tell where."""
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(address, ready, over), name="announce")
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _watch(address: socket.socket, ready: Callable[[str], None], over: threading.Event) -> None:
    while not over.wait(EVERY_S):
        if listens(address):
            url = _url(*address.getsockname()[:2])
            LOG.info("running on %s", url)
            ready(url)
            return


def listens(address: socket.socket) -> bool:
    """Whether clients are let in there."""
    try:
        return bool(address.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:  # it has been let go already
        return False


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
