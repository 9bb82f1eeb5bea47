"""``clusterseq train``.

Knows nothing about: how models learn.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from clusterseq.commands.shared import options
from clusterseq.commands.shared.configuration import configuration
from clusterseq.commands.shared.training import as_dict, print_outcome, run_experiment
from clusterseq.config import Runtime

PROGRAM = "clusterseq.cli:main"


def train(
    events: options.EventPaths,
    out: Annotated[
        Path, typer.Option(metavar="DIR", parser=options.path, help="Where the model is saved.")
    ],
    split: Annotated[
        str | None,
        typer.Option(
            metavar="temporal|random|none",
            help="Who is new: who came last (temporal, the default), a draw, or nobody.",
        ),
    ] = None,
    k: options.Support = 3,
    seed: options.Seed = 0,
    preset: options.Preset = "default",
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.toml",
            parser=options.path,
            help="Options to change; clusterseq config lists them.",
        ),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="OPTION=VALUE", help="One option, such as model.dim=64."),
    ] = None,
    titles: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", parser=options.path, help="Names of items: columns item and title."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the training that was stopped.")
    ] = False,
    threads: options.Threads = 0,
    device: options.Device = "cpu",
    workers: Annotated[
        int, typer.Option(metavar="N", min=1, help="Processes that train it together.")
    ] = 1,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(
            metavar="local|ray",
            help="Where they are: here, or on the Ray cluster of RAY_ADDRESS, which"
            " starts them anew from the last epoch if one dies (extra: ray).",
        ),
    ] = "local",
    shard_items: Annotated[
        bool, typer.Option("--shard-items", help="Share the item table out over them.")
    ] = False,
    profile: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            parser=options.path,
            help="Write traces of some steps of each stage there.",
        ),
    ] = None,
    tracker: Annotated[
        str | None,
        typer.Option(metavar="tensorboard|mlflow", help="Also track it there (extras)."),
    ] = None,
    json: options.Json = False,
    user_column: options.UserColumn = None,
    item_column: options.ItemColumn = None,
    time_column: options.TimeColumn = None,
    skip_bad: options.SkipBad = False,
) -> None:
    """Learn a model from events and save it.

    It is judged on people it hasn't seen, beside simple models.

    \b
    clusterseq train events.csv --out model
    clusterseq train 'logs/*.parquet' --out model --split random --set model.dim=64

    Ctrl-C keeps what was learnt; the same command with --resume goes on.
    """
    from clusterseq.commands.shared.events import items_of, read_data, warn_of_titles
    from clusterseq.learning.checkpoint import require_place
    from clusterseq.machine.files import make_folder
    from clusterseq.using.overwriting import refuse_replacing

    refuse_replacing(out, events, titles, config, profile)
    require_place(out)
    if profile is not None:
        make_folder(profile)
    chosen = configuration(preset, config, assignments or [], split)
    if (workers > 1 or engine == "ray") and "WORLD_SIZE" not in os.environ:
        _together(workers, engine, out, resume=resume, as_json=json)
    from clusterseq.commands.shared.json_output import print_json
    from clusterseq.machine.workers import is_main_process
    from clusterseq.reading.titles import read_titles
    from clusterseq.using.experiment import Experiment

    names = None if titles is None else read_titles(titles)
    columns = (user_column, item_column, time_column, skip_bad)
    data = read_data(events, *columns, quiet=not is_main_process())
    if names is not None and is_main_process():
        warn_of_titles(titles, names, items_of(data))
    runtime = Runtime(seed, threads, device, shard_items)
    experiment = Experiment(data, out, chosen, runtime, names, k)
    checkpoint, comparison = run_experiment(
        experiment, resume=resume, profile=profile, tracker=tracker
    )
    if json and is_main_process():
        print_json(as_dict(out, checkpoint))
    elif is_main_process():
        print_outcome(out, checkpoint, comparison)


def _together(workers: int, engine: str, out: Path, *, resume: bool, as_json: bool) -> None:
    """Run the same command in several processes, and end with them."""
    if engine == "ray":
        from clusterseq.commands.shared.json_output import print_json
        from clusterseq.learning.checkpoint import load_checkpoint
        from clusterseq.using.ray_train import trained

        if status := trained(PROGRAM, sys.argv[1:], workers, out, resume=resume):
            raise typer.Exit(status)
        checkpoint = load_checkpoint(out)  # nobody hears the processes of a cluster
        print_json(as_dict(out, checkpoint)) if as_json else print_outcome(out, checkpoint, None)
        raise typer.Exit
    from clusterseq.machine.workers import run_processes

    run_processes(sys.argv[1:], workers)
    raise typer.Exit
