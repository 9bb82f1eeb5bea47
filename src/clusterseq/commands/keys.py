"""``clusterseq keys``.

Knows nothing about: how keys are kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clusterseq.commands import options
from clusterseq.commands.printing import print_json


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
    json: options.Json = False,
) -> None:
    """Make API keys for the service, or list who has one.

    The file keeps hashes; a key that is lost is made anew under another name.

    \b
    clusterseq keys keys.jsonl --add shop --scopes read,events
    clusterseq serve model --keys keys.jsonl
    """
    from clusterseq.service.keys import Keyring, add_key

    if add is not None:
        asked = scopes.split(",")
        made = add_key(path, add, asked)
        print_json({"name": add, "scopes": asked, "key": made}) if json else print(made)
        return
    found = Keyring.read(path).keys
    if json:
        print_json({"keys": [{"name": key.name, "scopes": list(key.scopes)} for key in found]})
        return
    for key in found:
        print(f"{key.name}\t{','.join(key.scopes)}")
