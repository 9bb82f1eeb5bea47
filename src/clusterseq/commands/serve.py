"""``clusterseq serve``.

Knows nothing about: what is served.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clusterseq.commands.shared import options
from clusterseq.commands.shared.json_output import nobody_reads, print_json_line
from clusterseq.errors import ConfigError
from clusterseq.machine.extras import require_extra

if TYPE_CHECKING:
    from clusterseq.service.server import Settings

DEMO = Path("clusterseq-demo")


def serve(
    model: Annotated[
        Path | None,
        typer.Argument(
            metavar="MODEL",
            parser=options.path,
            help=f"The directory that train has saved; without it ./{DEMO}, which is made first "
            "if it isn't there.",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            metavar="PORT", min=0, max=65535, help="Port to listen on; 0 for any that is free."
        ),
    ] = 8000,
    store: Annotated[
        str,
        typer.Option(
            metavar="FILE|redis://…",
            parser=options.named,
            help="Where histories are kept: an SQLite file, Redis, or what a package brings.",
        ),
    ] = "clusterseq-histories.sqlite",
    keep_days: Annotated[
        float,
        typer.Option(
            metavar="DAYS", min=0.001, help="Days after which somebody inactive is forgotten."
        ),
    ] = 90,
    keep_events: Annotated[
        int, typer.Option(metavar="N", min=1, help="Newest events of a person that are kept.")
    ] = 200,
    keys: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            parser=options.path,
            help="Ask for an API key of this file (clusterseq keys).",
        ),
    ] = None,
    insecure: Annotated[
        bool,
        typer.Option(
            "--insecure", help="Without keys, let in other machines and answer to any name."
        ),
    ] = False,
    cors: Annotated[
        list[str] | None,
        typer.Option(metavar="ORIGIN", help="A site whose pages may call, such as https://a.shop."),
    ] = None,
    deadline: Annotated[
        float,
        typer.Option(
            metavar="MS", min=1, help="Milliseconds after which what is popular is answered."
        ),
    ] = 1_000,
    connections: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            help="Connections at once, of each process; at the next one, the client that keeps "
            "the service waiting longest is let go.",
        ),
    ] = 2_048,
    client_timeout: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0.1,
            help="Seconds a client may take to send a request or to read its answer.",
        ),
    ] = 20,
    processes: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, help="Processes behind the port; several need a Redis store."
        ),
    ] = 1,
    threads: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            max=options.MOST_THREADS,
            help="Threads of the tensor library in each process.",
        ),
    ] = 1,
    compiled: Annotated[
        bool,
        typer.Option(
            "--compile",
            help="Compile the model at the start, for sooner answers to single people of up to "
            "three items. Takes a minute, then seconds; needs a compiler of C++.",
        ),
    ] = False,
    log_level: Annotated[
        str, typer.Option(metavar="debug|info|warning|error", help="Least level that is logged.")
    ] = "info",
    json: options.Json = False,
) -> None:
    """Serve recommendations over HTTP, with a page to try them.

    The page is at /, the documentation of the API at /docs, numbers for Prometheus at /metrics.
    Ctrl-C or SIGTERM finishes what is under way, then ends. With --json the object, which has the
    address, comes as soon as it answers.

    \b
    clusterseq serve
    clusterseq serve model --port 80 --host 0.0.0.0 --keys keys.jsonl
    clusterseq serve model --processes 4 --store redis://localhost
    """
    from clusterseq.service.heap import share_one_arena

    share_one_arena()  # before a library starts a thread
    with require_extra("serve", "the service"):
        from clusterseq.service.server import Settings
        from clusterseq.service.server import serve as run
    from clusterseq.service.limits import Limits
    from clusterseq.service.store.protocol import Retention

    if log_level not in ("debug", "info", "warning", "error"):
        raise ConfigError(f"--log-level {log_level}: give debug, info, warning or error")
    for origin in cors or ():
        if origin != "*" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/?#\s]+", origin):
            raise ConfigError(
                f"--cors {origin}: no origin, so no browser would send it; give scheme and host "
                "alone, such as https://a.shop"
            )
    settings = Settings(
        model=model or DEMO,
        host=host,
        port=port,
        store=store,
        keys=keys,
        insecure=insecure,
        origins=tuple(cors or ()),
        threads=threads,
        compiled=compiled,
        processes=processes,
        log_level=log_level,
        retention=Retention(length=keep_events, seconds=86_400 * keep_days),
        limits=Limits(deadline_ms=deadline, connections=connections, client_seconds=client_timeout),
    )
    if model is None and not DEMO.exists():
        from clusterseq.commands.demo import demo, trained

        trained(DEMO) if json else demo(DEMO)
    _greet(settings)
    run(settings, _tell if json else lambda url: None)


def _tell(url: str) -> None:
    try:
        print_json_line({"url": url, "pid": os.getpid()}, sys.stdout)
    except BrokenPipeError:  # it serves all the same
        nobody_reads(sys.stdout)


def _greet(settings: Settings) -> None:
    from clusterseq.service.local import is_loopback
    from clusterseq.showing.terminal import note

    host, port = settings.host, settings.port
    name = f"[{host}]" if ":" in host else host
    who = "this machine alone" if is_loopback(host) else "every machine that reaches it"
    keys = "without a key" if settings.keys is None else "with a key"
    doing = "Loading and compiling" if settings.compiled else "Loading"
    note(f"{doing} the model; then http://{name}:{port}/ serves {who}, {keys}. Ctrl-C ends it.")
