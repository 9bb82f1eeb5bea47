"""``clusterseq prepare``.

Knows nothing about: how events are made ready.
"""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import Annotated

import typer

from clusterseq.checks import LARGEST
from clusterseq.commands.shared import options


def prepare(
    events: options.EventPaths,
    out: Annotated[
        Path,
        typer.Option(metavar="DIR", parser=options.path, help="Where the data set is written."),
    ],
    min_item_events: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            max=LARGEST,
            help="Leave out items with fewer events; their count is kept.",
        ),
    ] = 1,
    shards: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Files of people; one must fit in memory. By size if not said."
        ),
    ] = None,
    engine: options.Engine = "local",
    json: options.Json = False,
    user_column: options.UserColumn = None,
    item_column: options.ItemColumn = None,
    time_column: options.TimeColumn = None,
    skip_bad: options.SkipBad = False,
) -> None:
    """Make any amount of events ready for training.

    Files are read in portions and memory is bounded, however much there is.

    What comes out stands wherever events do: train, evaluate, inspect, tune, report.

    \b
    clusterseq prepare 'logs/*.parquet' --out shop-data --min-item-events 5
    clusterseq prepare 's3://bucket/clicks/*.parquet' --out shop-data
    clusterseq prepare 'postgresql://me@db/shop#select user_id, item_id, at from clicks' --out data
    clusterseq train shop-data --out model
    """
    from clusterseq.commands.shared.events import print_report
    from clusterseq.commands.shared.json_output import print_json
    from clusterseq.data.prepare import prepare_dataset
    from clusterseq.machine.mapping import by_ray, one_by_one
    from clusterseq.showing.terminal import Bars, note
    from clusterseq.using.overwriting import refuse_replacing

    refuse_replacing(out, events)
    with Bars() as progress:
        summary = prepare_dataset(
            events,
            out,
            user_column=user_column,
            item_column=item_column,
            time_column=time_column,
            skip_bad=skip_bad,
            min_item_events=min_item_events,
            shards=shards,
            mapper=by_ray if engine == "ray" else one_by_one,
            progress=progress.step,
        )
    if json:
        values = dataclasses.asdict(summary) | {"report": summary.report.to_dict(), "out": str(out)}
        print_json(values)
        return
    print_report(summary.report)
    if summary.rare_items:
        note(
            f"left out  {summary.rare_items:,} items with fewer than {min_item_events} events, "
            f"{summary.rare_events:,} events"
        )
    note(f"written   {out}: {summary.shards} shards, {summary.items:,} items")
    note(f"next      clusterseq train {shlex.quote(str(out))} --out model")
