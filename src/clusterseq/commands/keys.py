"""``clusterseq keys``.

Knows nothing about: how keys are kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def keys(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The file of a service's keys.")],
    add: Annotated[
        str | None, typer.Option(metavar="NAME", help="Make a key for somebody, shown once.")
    ] = None,
    scopes: Annotated[
        str,
        typer.Option(
            metavar="read,events,admin",
            help="What it opens: recommendations, people's events, changing the model.",
        ),
    ] = "read",
) -> None:
    """Make API keys for the service, or list who has one.

    The file keeps hashes; a key that is lost is made anew under another name.

    \b
    clusterseq keys keys.jsonl --add shop --scopes read,events
    clusterseq serve model --keys keys.jsonl
    """
    from clusterseq.service.keys import Keyring, add_key

    if add is not None:
        print(add_key(path, add, scopes.split(",")))
        return
    for key in Keyring.read(path).keys:
        print(f"{key.name}\t{','.join(key.scopes)}")
