"""``clusterseq bench``.

Knows nothing about: how models learn, how they are judged.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clusterseq.commands.shared import options

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clusterseq.bench.cell import Job
    from clusterseq.bench.datasets import BenchData
    from clusterseq.bench.models import Model
    from clusterseq.bench.plan import Plan
    from clusterseq.bench.results import Results, Row
    from clusterseq.bench.summary import Summary
    from clusterseq.data.dataset import Data

FAILED = 1


def list_models(context: options.Context, asked: bool) -> bool:
    """Print the models, what they are and what they are tuned over, and end there."""
    if not asked:
        return False
    from clusterseq.bench.models import catalogue
    from clusterseq.commands.shared.json_output import print_json
    from clusterseq.errors import ConfigError
    from clusterseq.presets import PRESETS
    from clusterseq.showing.terminal import note, screen

    try:
        models = catalogue(PRESETS)
    except ConfigError as error:  # of a package; what it brings can't be had, and the rest can
        note(f"Left out: {error}")
        models = catalogue(PRESETS, ())
    if context.params["json"]:
        print_json({"models": [_described(name, model) for name, model in models.items()]})
        raise typer.Exit
    for name, model in models.items():
        grid = [f"{option} {', '.join(map(str, row))}" for option, row in model.peer.grid.items()]
        tuned = f" Tuned over {'; '.join(grid)}." if grid else ""
        screen().print(f"{name} ({model.group}): {model.peer.about}{tuned}", soft_wrap=True)
    raise typer.Exit


def _described(name: str, model: Model) -> dict[str, Any]:
    grid = {option: list(row) for option, row in model.peer.grid.items()}
    return {"name": name, "group": model.group, "about": model.peer.about, "grid": grid}


def bench(
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA",
            parser=options.named,
            help="Data sets, each a file, glob or folder; FILE:random gives one its own split.",
        ),
    ],
    out: Annotated[
        Path, typer.Option(metavar="DIR", parser=options.path, help="Where all results are kept.")
    ],
    models: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="Names, or all, classical, neural, meta, ours.",
        ),
    ] = "all",
    seeds: Annotated[str, typer.Option(metavar="0,1,2", help="Seeds, each a split.")] = "0,1,2",
    k: Annotated[
        str, typer.Option("-k", "--k", metavar="1,3", help="How many items a model is shown.")
    ] = "3",
    split: Annotated[
        str | None,
        typer.Option(metavar="temporal|random", help="Who is new, where DATA doesn't say it."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.toml", parser=options.path, help="Options to change in our models."
        ),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="OPTION=VALUE", help="One option, such as model.dim=64."),
    ] = None,
    jobs: Annotated[
        int, typer.Option(metavar="N", min=1, help="How many models are trained at once.")
    ] = 1,
    threads: options.Threads = 0,
    device: options.Device = "cpu",
    json: options.Json = False,
    listing: Annotated[
        bool,
        typer.Option("--list", callback=list_models, help="Print the models."),
    ] = False,
    user_column: options.UserColumn = None,
    item_column: options.ItemColumn = None,
    time_column: options.TimeColumn = None,
    skip_bad: options.SkipBad = False,
) -> None:
    """Put ClusterSeq beside its peers.

    Every model is tuned on validation users and judged on people it hasn't seen, on every data set
    and seed.

    \b
    clusterseq bench events.csv --out bench
    clusterseq bench films.parquet beauty.parquet:random --models clusterseq,neural --out bench

    What is done is kept: the same command goes on after Ctrl-C, and more models or seeds add to it.
    """
    from clusterseq.bench.datasets import parse_all
    from clusterseq.bench.models import chosen
    from clusterseq.bench.plan import Plan, numbers
    from clusterseq.bench.results import Results
    from clusterseq.commands.shared.configuration import configuration
    from clusterseq.commands.shared.events import read_data
    from clusterseq.machine.accelerator import device_named
    from clusterseq.presets import PRESETS

    ours = {base: configuration(base, config, assignments or [], split) for base in PRESETS}
    default = ours["default"]
    columns = (user_column, item_column, time_column, skip_bad)
    plan = Plan(
        {
            dataset: dataset.digest(default.data, {"columns": columns})
            for dataset in parse_all(data, default.data.split)
        },
        chosen(models.split(","), ours),
        numbers(seeds, "--seeds"),
        numbers(k, "-k"),
        default.data,
        threads or (max(1, (os.cpu_count() or 1) // jobs) if jobs > 1 else 0),
        str(device_named(device)),
    )
    results = Results(out)
    summary = run(plan, results, lambda dataset: read_data([dataset.path], *columns), jobs)
    show(results, summary, json=json)
    if summary.failed:
        raise typer.Exit(FAILED)


def run(
    plan: Plan, results: Results, read: Callable[[BenchData], Data], at_once: int = 1
) -> Summary:
    """Compute what isn't done yet under the eyes of the user, and sum up all that is there."""
    from clusterseq.bench.results import FAILED, cell_of, in_force
    from clusterseq.bench.summary import summarise
    from clusterseq.showing.terminal import Bar

    compute(plan, results, read, at_once)
    cells = plan.cells()
    rows = [
        row
        for row in in_force(results.rows(), cells)
        if row["status"] != FAILED or cell_of(row) in cells  # nobody tries the others again
    ]
    with Bar("drawing people for intervals") as bar:
        return summarise(rows, results.ranks, bar)


def compute(
    plan: Plan, results: Results, read: Callable[[BenchData], Data], at_once: int = 1
) -> None:
    """Compute what isn't done yet under the eyes of the user.

    Raises:
        KeyboardInterrupt: after saying how to go on.
    """
    from clusterseq.bench.pool import run_jobs
    from clusterseq.bench.results import changes, in_force
    from clusterseq.bench.screen import BenchScreen
    from clusterseq.showing.terminal import note

    cells = plan.cells()
    for line in changes(results.rows(), cells):
        note(line)

    def publish() -> None:
        results.publish(in_force(results.rows(), cells))

    jobs = plan.jobs(results)
    plan.write_splits(jobs, results, read)
    if len(jobs) < plan.trainings:
        note(f"{plan.trainings - len(jobs)} of {plan.trainings} are done already")
    try:
        with BenchScreen(len(jobs)) as display:

            def ended(job: Job, rows: Sequence[Row]) -> None:
                publish()
                display.finished(job, rows)

            run_jobs(jobs, results, display.started, ended, at_once=at_once)
    except KeyboardInterrupt:
        note(f"What was finished is kept in {results.path}; the same command goes on.")
        raise
    publish()


def show(results: Results, summary: Summary, *, json: bool) -> None:
    """Write the reports and charts, print the tables, and say what has failed."""
    from clusterseq.bench.plot import write_charts
    from clusterseq.bench.report import (
        COST_LEGEND,
        LEGEND,
        as_dict,
        failures,
        tables,
        write_reports,
    )
    from clusterseq.commands.shared.json_output import print_json
    from clusterseq.errors import ConfigError
    from clusterseq.showing.terminal import note, screen

    written = write_reports(results.path, summary)
    try:
        written += write_charts(results.path, summary)
    except ConfigError as error:
        note(str(error))
    if json:
        print_json(as_dict(summary))
    else:
        for table in tables(summary):
            screen().print(table)
        screen().print(LEGEND, COST_LEGEND, sep="\n")
    note(f"Written: {', '.join(map(str, written))}")
    for line in failures(summary):
        note(f"failed: {line}")
    if summary.failed:
        note(f"{len(summary.failed)} results failed; the same command tries them again")
