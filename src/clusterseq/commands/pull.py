"""``clusterseq pull``.

Knows nothing about: storages.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clusterseq.commands.shared import options


def pull(
    address: Annotated[
        str,
        typer.Argument(
            metavar="ADDRESS", parser=options.named, help="Where push has copied a model to."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            parser=options.path,
            help="Directory of the model; a former one is replaced.",
        ),
    ],
    json: options.Json = False,
) -> None:
    """Fetch a model from a storage.

    The directory appears whole or not at all, and only if every file is as it was pushed. A service
    takes it at its next reload (POST /v1/model:reload). Credentials and endpoint are those that
    the environment names (extra: storage).

    \b
    clusterseq pull s3://bucket/models/2026-11-26 --out model
    """
    from clusterseq.commands.shared.json_output import print_json
    from clusterseq.showing.terminal import Bar, note
    from clusterseq.using.storage import pull_model

    with Bar("pulling") as progress:
        moved = pull_model(address, out, progress=progress)
    if json:
        print_json({"address": address, "out": str(out), "bytes": moved})
        return
    note(f"pulled    {out}: {moved / 2**20:,.1f} MiB")
    note(f"next      clusterseq serve {out}")
