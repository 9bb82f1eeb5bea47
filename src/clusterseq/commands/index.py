"""``clusterseq index``.

Knows nothing about: how an index finds items.
"""

from __future__ import annotations

from typing import Annotated

import typer

from clusterseq.commands.shared import options
from clusterseq.errors import CheckpointError


def index(
    model: options.ModelPath,
    threads: options.Threads = 0,
    remove: Annotated[
        bool, typer.Option("--remove", help="Take the index away: all items are ranked again.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Build an index for a catalogue of 100,000 items or more.

    It lies beside the model and is used from then on, also by the service, wherever few people are
    served at once; answers are the same but for one item in some hundred. Build it anew after a
    training or an update.

    \b
    clusterseq index model
    clusterseq index model --remove
    """
    from clusterseq.commands.shared.json_output import print_json
    from clusterseq.learning.checkpoint import is_checkpoint, load_checkpoint
    from clusterseq.machine.directory import current_path
    from clusterseq.model.index import ABOUT, FILE
    from clusterseq.model.indexing import index_of
    from clusterseq.showing.terminal import note

    if not is_checkpoint(model):
        raise CheckpointError(f"{model}: no model there; give the directory that train has saved")
    directory = current_path(model)
    if remove:
        exists = (directory / FILE).exists()
        for name in (ABOUT, FILE):
            (directory / name).unlink(missing_ok=True)
        if json:
            print_json({"removed": str(directory / FILE) if exists else None})
        elif not exists:
            note(f"{model} has no index.")
        return
    checkpoint = load_checkpoint(model)
    note(f"Indexing {len(checkpoint.items):,} items …")
    built = index_of(checkpoint.model, threads)
    built.save(directory, checkpoint.content)
    if json:
        print_json({"items": len(checkpoint.items), "recall": built.recall})
        return
    note(
        f"Sample histories find {built.recall:.1%} of their true ten best. The index is in "
        f"{directory / FILE}."
    )
