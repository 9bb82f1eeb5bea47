"""A process that serves, or several behind one port: sockets, signals, and the log.

Knows nothing about: what is served.
"""

from __future__ import annotations

import errno
import gc
import math
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
import uvicorn
from fastapi import FastAPI

from clusterseq.errors import ClusterSeqError, ConfigError
from clusterseq.learning.checkpoint import load_checkpoint
from clusterseq.service.address import announced, bound, listens, taken
from clusterseq.service.app import create_app
from clusterseq.service.async_store import AsyncStore
from clusterseq.service.connections import Connection, Waiting
from clusterseq.service.context import Context
from clusterseq.service.engine import Engine
from clusterseq.service.heap import share_one_arena
from clusterseq.service.keys import Keyring
from clusterseq.service.limits import Limits
from clusterseq.service.local import is_loopback
from clusterseq.service.logs import LOG, log_to_stderr
from clusterseq.service.metrics import FOLDER, reserve
from clusterseq.service.ranking_service import RankingService
from clusterseq.service.store import is_shared, open_store
from clusterseq.service.store.protocol import Retention
from clusterseq.service.supervisor import Supervisor

DRAIN_SECONDS = 20
"""How long requests under way may take after the service was told to stop."""
OTHER_FILES = 256
"""Files that a process has open beside its connections."""
RETRY_SECONDS = 1.0
"""How long a process that can't serve waits for its end, since another one is started at once."""
READY_SECONDS = 60
"""How long one of several processes may take until it serves, or doesn't answer."""


@dataclass(frozen=True)
class Settings:
    """How a service is run."""

    model: Path
    """Directory of the model."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 8000
    """Port to listen on; 0 for any that is free."""
    store: str = "memory:"
    """Where histories are kept."""
    keys: Path | None = None
    """File of API keys; None asks nobody for one."""
    insecure: bool = False
    """Listen to other machines without keys."""
    origins: tuple[str, ...] = ()
    """Pages of other sites that may call from a browser."""
    threads: int = 1
    """Threads of the tensor library."""
    compiled: bool = False
    """Whether each process compiles the model before it serves."""
    processes: int = 1
    """How many serve, each with the model in its memory."""
    log_level: str = "info"
    """Least level of what is logged."""
    retention: Retention = field(default_factory=Retention)
    """How much of a person is kept, and how long."""
    limits: Limits = field(default_factory=Limits)
    """What is taken on."""

    def __post_init__(self) -> None:
        if not (self.keys or self.insecure or is_loopback(self.host)):
            raise ConfigError(
                f"listening on {self.host} lets other machines in, and no keys are asked for; "
                "give --keys FILE (clusterseq keys makes them), or say --insecure"
            )
        if self.processes > 1 and not is_shared(self.store):
            raise ConfigError(
                f"{self.processes} processes need a store that they share; give --store redis://…",
                code="store",
            )


def build(settings: Settings, replace_others: Callable[[], None] = lambda: None) -> FastAPI:
    """Load the model, open the store, and put the application together.

    Raises:
        CheckpointError: the model can't be used.
        ConfigError: keys or store can't be used, or the model can't be compiled.
    """
    torch.set_num_threads(settings.threads)
    keyring = Keyring() if settings.keys is None else Keyring.guarding(settings.keys)
    limits = settings.limits
    engine = Engine.load(settings.model, limits.at_once, compiled=settings.compiled)
    store = open_store(settings.store, settings.retention)
    context = Context(
        rankings=RankingService(engine, limits),
        store=AsyncStore(store, limits.store_seconds),
        model=settings.model,
        compiled=settings.compiled,
        keyring=keyring,
        key_file=settings.keys,
        replace_others=replace_others,
    )
    alone = settings.keys is None and not settings.insecure
    return create_app(context, origins=settings.origins, local_only=alone)


def serve(settings: Settings, ready: Callable[[str], None] = lambda url: None) -> None:
    """Serve until somebody says stop; then finish what is under way.

    Args:
        ready: called with the address once clients are let in.

    Raises:
        CheckpointError: the model can't be used.
        ConfigError: keys, store or address can't be used.
    """
    log_to_stderr(settings.log_level)
    allow_files(settings.limits.connections)
    with bound(settings.host, settings.port) as address, announced(address, ready):
        _serve(settings, address)


def _serve(settings: Settings, address: socket.socket) -> None:
    waiting = Waiting(settings.limits)
    config = uvicorn.Config(
        partial(_application, settings, waiting),
        factory=True,
        workers=settings.processes,
        http=partial(Connection, waiting=waiting),  # type: ignore[arg-type]
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=math.ceil(settings.limits.client_seconds),
        timeout_graceful_shutdown=DRAIN_SECONDS,
        timeout_worker_healthcheck=READY_SECONDS,
    )
    if settings.processes > 1:
        with tempfile.TemporaryDirectory(prefix="clusterseq-metrics-") as folder:
            for place in range(settings.processes):
                reserve(Path(folder), place)
            _check(settings)
            os.environ[FOLDER] = folder
            Supervisor(config, [address], DRAIN_SECONDS + 2).run()
        return
    config.load()
    # The server drains at SIGTERM and then raises it once more; having drained is no failure.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    # A terminal that is closed ends it as Ctrl-C does, unless nohup says that it shall not.
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda number, frame: signal.raise_signal(signal.SIGINT))
    server = _Server(config)
    server.run([address])
    if server.late:
        raise taken(settings.host, settings.port, os.strerror(errno.EADDRINUSE))


class _Server(uvicorn.Server):
    """uvicorn's, which would wait for ever beside another that took the address just before."""

    late = False
    """Whether it was so."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, or end."""
        await super().startup(sockets)
        self.late = not all(map(listens, sockets or ()))
        if self.late:
            await self.lifespan.shutdown()
            self.should_exit = True


def _check(settings: Settings) -> None:
    """Refuse what no process could serve, or each of them would be started again without end."""
    if settings.keys is not None:
        Keyring.guarding(settings.keys)
    load_checkpoint(settings.model)
    open_store(settings.store, settings.retention).close()


def _application(settings: Settings, waiting: Waiting) -> FastAPI:
    """What a process serves; the supervisor of several starts all of them anew at SIGHUP."""
    if settings.processes > 1:  # in a process that was born a moment ago
        share_one_arena()
        log_to_stderr(settings.log_level)
        threading.Thread(target=_end_with_supervisor, daemon=True).start()
        try:
            app = build(settings, _replace_others)
        except ClusterSeqError as error:  # broken since this service was started
            LOG.error("a process can't serve: %s", error)
            time.sleep(RETRY_SECONDS)  # the supervisor starts another one at once
            sys.exit(1)
    else:
        app = build(settings)
    waiting.count = app.state.context.metrics.refused
    # What is there now stays; a collection that looked at it all would stop everything for .2 s.
    gc.collect()
    gc.freeze()
    return app


def _end_with_supervisor() -> None:
    """End as at SIGTERM once the supervisor is gone: nobody else would end or replace this one."""
    supervisor = multiprocessing.parent_process()
    if supervisor is not None:
        supervisor.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _replace_others() -> None:
    """Ask the supervisor for it, and nobody who has come in its place."""
    supervisor = multiprocessing.parent_process()
    if supervisor is not None and supervisor.pid is not None and supervisor.is_alive():
        os.kill(supervisor.pid, signal.SIGHUP)


def allow_files(connections: int) -> None:
    """Let this process, and those it starts, have so many connections open at once.

    Raises:
        ConfigError: the system allows fewer.
    """
    if sys.platform == "win32":
        return
    import resource

    needed = connections + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise ConfigError(
            f"{connections:,} connections need {needed:,} open files, and the system allows "
            f"{hard:,}; give --connections {max(1, hard - OTHER_FILES)} or raise the limit"
        )
    if soft != resource.RLIM_INFINITY and needed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
