"""``clusterseq keys``.

Knows nothing about: how keys are kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clusterseq.commands.shared import options
from clusterseq.commands.shared.json_output import print_json
from clusterseq.errors import ConfigError


def keys(
    path: Annotated[
        Path,
        typer.Argument(metavar="FILE", parser=options.path, help="The file of a service's keys."),
    ],
    add: Annotated[
        str | None, typer.Option(metavar="NAME", help="Make a key for somebody, shown once.")
    ] = None,
    scopes: Annotated[
        str | None,
        typer.Option(
            metavar="read,events,admin",
            help="What it opens: recommendations (alone, if nothing is said), people's events, "
            "changing the model.",
        ),
    ] = None,
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
        requested = [scope.strip() for scope in ("read" if scopes is None else scopes).split(",")]
        secret = add_key(path, add, requested)
        print_json({"name": add, "scopes": requested, "key": secret}) if json else print(secret)
        return
    if scopes is not None:
        raise ConfigError("--scopes goes with --add; a key keeps the scopes it was made with")
    entries = Keyring.read(path).keys
    if json:
        print_json({"keys": [{"name": key.name, "scopes": list(key.scopes)} for key in entries]})
        return
    for key in entries:
        print(f"{key.name}\t{','.join(key.scopes)}")
