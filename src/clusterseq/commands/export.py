"""``clusterseq export``.

Knows nothing about: the formats.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clusterseq import options


def export(
    events: options.EventPaths,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="What is written; its ending says for whom.")
    ],
    user_column: options.UserColumn = None,
    item_column: options.ItemColumn = None,
    time_column: options.TimeColumn = None,
    skip_bad: options.SkipBad = False,
) -> None:
    """Write events for other libraries.

    RecBole reads .inter files; the same columns as RecTools have .parquet, .csv and .jsonl:
    user_id, item_id, weight and datetime. Both come back wherever events do.

    \b
    clusterseq export events.csv --out shop/shop.inter
    clusterseq export shop-data --out interactions.parquet
    """
    from clusterseq.commands.reading import read
    from clusterseq.exchange import export_events
    from clusterseq.terminal import screen

    data = read(events, user_column, item_column, time_column, skip_bad)
    written = export_events(data, out)
    screen(stderr=True).print(f"written   {out}: {written:,} events", soft_wrap=True)
