"""``clusterseq export``.

Knows nothing about: the formats.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clusterseq.commands.shared import options
from clusterseq.errors import ConfigError


def export(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL|EVENTS", parser=options.named, help="A saved model, or events."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE", parser=options.path, help="What is written; its ending says for whom."
        ),
    ],
    json: options.Json = False,
    user_column: options.UserColumn = None,
    item_column: options.ItemColumn = None,
    time_column: options.TimeColumn = None,
    skip_bad: options.SkipBad = False,
) -> None:
    """Write a model or events for other libraries.

    A model becomes a program (.pt2) that torch.export.load reads, on any machine with PyTorch and
    without clusterseq: item indices in, scores of all items out, adaptation included. The raw ids
    lie in it as items.json.

    RecBole reads .inter files. Tables for RecTools (.parquet, .csv, .jsonl) have the columns
    user_id, item_id, weight and datetime. Both are read wherever events are.

    \b
    clusterseq export model --out model.pt2
    clusterseq export events.csv --out shop/shop.inter
    clusterseq export shop-data --out interactions.parquet
    """
    from clusterseq.commands.shared.events import read_data
    from clusterseq.commands.shared.json_output import print_json
    from clusterseq.data.exchange import export_events
    from clusterseq.learning.checkpoint import is_checkpoint, load_checkpoint
    from clusterseq.showing.terminal import note
    from clusterseq.using.overwriting import refuse_overwriting
    from clusterseq.using.tracing import export_model

    models = [path for path in what if is_checkpoint(path)]
    if models and len(what) > 1:
        raise ConfigError(f"{models[0]} is a model, which stands alone; export one at a time")
    if models:
        refuse_overwriting([], out, model=Path(what[0]))
        checkpoint = load_checkpoint(what[0])
        export_model(checkpoint, out)
        kind, number = "items", len(checkpoint.items)
    else:
        refuse_overwriting(what, out)
        data = read_data(what, user_column, item_column, time_column, skip_bad)
        kind, number = "events", export_events(data, out)
    if json:
        print_json({"out": str(out), kind: number})
    else:
        note(f"written   {out}: {number:,} {kind}")
