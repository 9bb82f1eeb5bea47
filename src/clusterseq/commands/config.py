"""``clusterseq config``.

Knows nothing about: what the options do.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from clusterseq.commands.shared import options
from clusterseq.commands.shared.json_output import print_json
from clusterseq.presets import preset as named


def config(
    preset: Annotated[
        str, typer.Option(metavar=options.PRESET_NAMES, help="Whose values to print.")
    ] = "default",
    json: options.Json = False,
) -> None:
    """Print every option of train --config.

    \b
    clusterseq config > mine.toml
    clusterseq train events.csv --out model --config mine.toml
    """
    from clusterseq.overrides import to_toml

    chosen = named(preset)
    print_json(dataclasses.asdict(chosen)) if json else print(to_toml(chosen), end="")
