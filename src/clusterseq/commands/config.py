"""``clusterseq config``.

Knows nothing about: what the options do.
"""

from __future__ import annotations

from typing import Annotated

import typer

from clusterseq.presets import preset as named


def config(
    preset: Annotated[
        str, typer.Option(metavar="default|paper", help="Whose values to print.")
    ] = "default",
) -> None:
    """Print every option of train --config.

    \b
    clusterseq config > mine.toml
    clusterseq train events.csv --out model --config mine.toml
    """
    from clusterseq.overrides import to_toml

    print(to_toml(named(preset)), end="")
