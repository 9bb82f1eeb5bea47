"""``clusterseq push``.

Knows nothing about: storages.
"""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from clusterseq.commands.shared import options


def push(
    model: options.ModelPath,
    address: Annotated[
        str,
        typer.Argument(
            metavar="ADDRESS",
            parser=options.named,
            help="s3://bucket/folder, gs://…, az://… or file://…",
        ),
    ],
    json: options.Json = False,
) -> None:
    """Copy a model to a storage.

    Elsewhere, pull fetches it. Credentials and endpoint are those that the environment names, as
    AWS_ACCESS_KEY_ID and AWS_ENDPOINT_URL (extra: storage). A model that lies there is replaced,
    and can't be pulled until that is over; give each one an address of its own where others pull
    at any time.

    \b
    clusterseq push model s3://bucket/models/2026-11-26
    """
    from clusterseq.commands.shared.json_output import print_json
    from clusterseq.showing.terminal import Bar, note
    from clusterseq.using.storage import push_model

    with Bar("pushing") as progress:
        moved = push_model(model, address, progress=progress)
    if json:
        print_json({"model": str(model), "address": address, "bytes": moved})
        return
    note(f"pushed    {address}: {moved / 2**20:,.1f} MiB")
    note(f"next      clusterseq pull {shlex.quote(address)} --out model")
