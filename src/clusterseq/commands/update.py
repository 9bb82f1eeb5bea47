"""``clusterseq update``.

Knows nothing about: how a model is updated.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clusterseq.commands.shared import options
from clusterseq.config import Runtime

if TYPE_CHECKING:
    from clusterseq.using.update import Update


def update(
    model: options.ModelPath,
    events: options.EventPaths,
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            parser=options.path,
            help="Where the newer model goes; MODEL replaces it.",
        ),
    ],
    epochs: Annotated[
        int, typer.Option(metavar="N", min=0, help="Passes over the new events.")
    ] = 4,
    rate: Annotated[
        float, typer.Option(metavar="X", min=0, help="Learning rate, as a share of the training's.")
    ] = 1.0,
    titles: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            parser=options.path,
            help="Columns item and title, for items without a title.",
        ),
    ] = None,
    k: options.Support = 3,
    seed: options.Seed = 0,
    threads: options.Threads = 0,
    json: options.Json = False,
    user_column: options.UserColumn = None,
    item_column: options.ItemColumn = None,
    time_column: options.TimeColumn = None,
    skip_bad: options.SkipBad = False,
) -> None:
    """Add the events since to a model, in minutes.

    The events of its training aren't needed. New items start from the items beside them, counts are
    added to, and the model is trained on; people it hasn't seen tell what that is worth.

    \b
    clusterseq update model this-week.csv --out model
    curl -X POST localhost:8000/v1/model:reload
    """
    from clusterseq.commands.shared.events import read_data, warn_of_titles
    from clusterseq.commands.shared.json_output import print_json
    from clusterseq.learning.checkpoint import load_checkpoint, require_place, save_checkpoint
    from clusterseq.machine.unfinished import exclusive_lock, unfinished_at
    from clusterseq.model.index import ABOUT as INDEX
    from clusterseq.reading.titles import read_titles
    from clusterseq.showing.terminal import TrainingScreen, note
    from clusterseq.using.overwriting import refuse_replacing
    from clusterseq.using.update import update_checkpoint

    refuse_replacing(out, events, titles, model)
    names = None if titles is None else read_titles(titles)
    require_place(out)
    data = read_data(events, user_column, item_column, time_column, skip_bad)
    # Of two updates at once the later would lose the earlier.
    with exclusive_lock(unfinished_at(out)):
        with TrainingScreen() as display:
            newer = update_checkpoint(
                load_checkpoint(model),
                data,
                epochs=epochs,
                rate=rate,
                titles=names,
                k=k,
                runtime=Runtime(seed, threads),
                watcher=display,
                progress=partial(display.step, "evaluate"),
            )
        indexed = (out / INDEX).exists()
        save_checkpoint(out, newer.checkpoint)
    warn_of_titles(titles, names, newer.checkpoint.items)
    if indexed:
        note(f"The index was the former model's and is gone; clusterseq index {out} builds one.")
    if json:
        figures = None if newer.comparison is None else newer.comparison.figures
        print_json({"new_items": newer.new_items, "out": str(out), "figures": figures})
    else:
        _print(newer, out)


def _print(newer: Update, out: Path) -> None:
    from clusterseq.commands.shared.results import print_comparison, print_next
    from clusterseq.showing.terminal import note

    known = len(newer.checkpoint.items)
    note(f"{newer.new_items:,} items are new; the model knows {known:,} now")
    if newer.comparison is None:
        note("Nobody was left to compare the model before and after: everyone taught.")
    else:
        print_comparison(newer.comparison)
    print_next(out, newer.checkpoint)
