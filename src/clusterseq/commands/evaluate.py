"""``clusterseq evaluate``.

Knows nothing about: how models are judged.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clusterseq.commands.shared import options


def evaluate(
    model: options.ModelPath,
    events: options.EventPaths,
    k: options.Support = 3,
    all_new: Annotated[
        bool, typer.Option("--all-new", help="Everyone in the events is new to the model.")
    ] = False,
    part: Annotated[
        str, typer.Option(metavar="test|validation", help="Which of the new users are judged.")
    ] = "test",
    keep_seen: Annotated[
        bool, typer.Option("--keep-seen", help="What was touched before competes, too.")
    ] = False,
    baselines: Annotated[
        bool, typer.Option(help="Judge simple models beside it (not with --json).")
    ] = True,
    device: options.Device = "cpu",
    json: options.Json = False,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json", parser=options.path, help="Write the JSON object to a file, too."
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv", parser=options.path, help="Write every figure as a row of CSV."
        ),
    ] = None,
    user_column: options.UserColumn = None,
    item_column: options.ItemColumn = None,
    time_column: options.TimeColumn = None,
    skip_bad: options.SkipBad = False,
) -> None:
    """Judge a model on people it hasn't seen.

    They are the new users of the split that it was trained under, or everyone with --all-new.

    \b
    clusterseq evaluate model events.csv
    clusterseq evaluate model later_people.csv --all-new --json
    """
    import polars as pl

    from clusterseq.commands.shared.events import read_data
    from clusterseq.commands.shared.json_output import print_json
    from clusterseq.commands.shared.results import print_comparison
    from clusterseq.learning.checkpoint import load_checkpoint
    from clusterseq.machine.accelerator import device_named
    from clusterseq.machine.files import write_whole
    from clusterseq.machine.manifest import as_json
    from clusterseq.showing.terminal import Bar
    from clusterseq.using.evaluation import evaluate_checkpoint
    from clusterseq.using.overwriting import refuse_overwriting

    refuse_overwriting(events, output, csv, model=model)
    torch_device = device_named(device)
    checkpoint = load_checkpoint(model)
    checkpoint.model.on(torch_device)
    data = read_data(events, user_column, item_column, time_column, skip_bad)
    with Bar("evaluating") as bar:
        comparison = evaluate_checkpoint(
            checkpoint,
            data,
            k=k,
            part=part,
            all_new=all_new,
            keep_seen=keep_seen,
            baselines=baselines and not json,
            progress=bar,
        )
    if json:
        print_json(comparison.to_dict())
    else:
        print_comparison(comparison)
    if output is not None:
        write_whole(output, as_json(comparison.to_dict()))
    if csv is not None:
        rows = pl.DataFrame(list(comparison.rows()), infer_schema_length=None)
        write_whole(csv, rows.write_csv().encode())
