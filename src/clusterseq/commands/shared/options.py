"""The options that several commands share, each with the sentence that explains it.

Knows nothing about: what the commands do with them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from clusterseq.checks import LARGEST
from clusterseq.presets import PRESETS

if TYPE_CHECKING:
    Context: TypeAlias = typer.Context
else:
    Context = typer.Context.__bases__[0]  # which commands are given; typer's own is never made


def path(text: str | Path) -> Path:
    """A path as it was given.

    Raises:
        typer.BadParameter: it is empty.
    """
    return Path(named(text))


def named(text: str | Path) -> str:
    """What names a place; a variable that isn't set names none, and surely not the folder here.

    Raises:
        typer.BadParameter: it is empty.
    """
    if not (name := str(text)):
        raise typer.BadParameter("it is empty; name a place, which may be . for the folder here")
    return name


EventPaths: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        metavar="EVENTS",
        parser=named,
        help="Files, globs or folders of events (CSV, TSV, JSON lines, Parquet, RecBole .inter), "
        "the address of Parquet or of a PostgreSQL query, or what prepare has made.",
    ),
]
ModelPath: TypeAlias = Annotated[
    Path, typer.Argument(metavar="MODEL", parser=path, help="The directory that train has saved.")
]
UserColumn: TypeAlias = Annotated[
    str | None, typer.Option(metavar="NAME", help="Column of the user, if it isn't recognised.")
]
ItemColumn: TypeAlias = Annotated[
    str | None, typer.Option(metavar="NAME", help="Column of the item, if it isn't recognised.")
]
TimeColumn: TypeAlias = Annotated[
    str | None, typer.Option(metavar="NAME", help="Column of the time, if it isn't recognised.")
]
SkipBad: TypeAlias = Annotated[
    bool, typer.Option("--skip-bad", help="Drop and count rows that can't be used.")
]
Support: TypeAlias = Annotated[
    int,
    typer.Option(
        "--k", metavar="N", min=0, help="How many items of a new person the model is shown."
    ),
]
Json: TypeAlias = Annotated[
    bool,
    typer.Option("--json", is_eager=True, help="Print one JSON object and nothing else."),
]
"""Eager, since an option that prints and ends, such as ``bench --list``, has to know."""
MOST_THREADS = 4096
"""More than any machine has processors for; the tensor library takes no number at all."""
PRESET_NAMES = "|".join(PRESETS)
Preset: TypeAlias = Annotated[
    str, typer.Option(metavar=PRESET_NAMES, help="The options to start from.")
]
Seed: TypeAlias = Annotated[
    int, typer.Option(metavar="N", min=0, max=LARGEST, help="Seed of every random draw.")
]
Device: TypeAlias = Annotated[
    str, typer.Option(metavar="cpu|cuda|cuda:N", help="Where tensors are computed.")
]
Engine: TypeAlias = Annotated[
    Literal["local", "ray"],
    typer.Option(
        metavar="local|ray", help="Work here, or on the Ray cluster of RAY_ADDRESS (extra: ray)."
    ),
]
Threads: TypeAlias = Annotated[
    int,
    typer.Option(
        metavar="N",
        min=0,
        max=MOST_THREADS,
        help="Threads of the tensor library; 0 leaves the choice to it.",
    ),
]
