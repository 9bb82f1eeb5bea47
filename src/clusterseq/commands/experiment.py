"""``clusterseq experiment``.

Knows nothing about: how models learn, how they are judged.
"""

from __future__ import annotations

import json as json_lines
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clusterseq.commands.shared import options

if TYPE_CHECKING:
    from clusterseq.bench.datasets import BenchData
    from clusterseq.bench.plan import Plan
    from clusterseq.bench.study import Study
    from clusterseq.bench.summary import Summary


def experiment(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="A study, or a TOML file; left out, all are listed."),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", parser=options.path, help="Where all results are kept.")
    ] = Path("experiments"),
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            parser=options.path,
            help="Where the data sets are, each a file of its name.",
        ),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(metavar="0,1,2", help="Seeds, instead of the study's own.")
    ] = None,
    jobs: Annotated[
        int, typer.Option(metavar="N", min=1, help="How many models are trained at once.")
    ] = 1,
    threads: options.Threads = 0,
    json: options.Json = False,
) -> None:
    """Answer a question with one command.

    Every study trains some models on people who are known, judges them on people who aren't, and
    writes a table, a chart and what they say.

    \b
    clusterseq experiment                              list the studies
    clusterseq experiment planted
    clusterseq experiment ablation --data my-data --seeds 0,1,2

    What is done is kept: the same command goes on after Ctrl-C, and studies share their results.
    """
    from clusterseq.bench.report import failures
    from clusterseq.bench.results import Results, cell_of
    from clusterseq.bench.study import read_study
    from clusterseq.bench.summary import summarise
    from clusterseq.commands.bench import FAILED, compute
    from clusterseq.commands.shared.events import read_data
    from clusterseq.commands.shared.json_output import print_json
    from clusterseq.showing.terminal import Bar, note, screen

    if name is None:
        _list(as_json=json)
        return
    study = read_study(name)
    results = Results(out)  # before anything is written there
    plan = _plan(study, data, out, seeds, threads)
    compute(plan, results, lambda dataset: read_data([dataset.path]), jobs)
    cells = set(plan.cells())  # the folder may hold other studies' results, too
    with Bar("drawing people for intervals") as bar:
        rows = (row for row in results.rows() if cell_of(row) in cells)
        summary = summarise(rows, results.ranks, bar)
    command = f"clusterseq experiment {name}" + (f" --seeds {seeds}" if seeds else "")
    written = []
    if summary.boards:  # of nothing there is neither a page nor a chart
        written = _write(study, summary, out, command + (" --data DIR" if data else ""))
    if json:
        print_json({"study": study.name, **summary.to_dict()})
    elif written:
        screen().print(written[0].read_text(encoding="utf-8"), soft_wrap=True)
    nothing = "Nothing could be judged, so nothing is written"
    note(f"Written: {', '.join(map(str, written))}" if written else nothing)
    for line in failures(summary):
        note(f"failed: {line}")
    if summary.failed:
        raise typer.Exit(FAILED)


def _list(*, as_json: bool) -> None:
    from clusterseq.bench.study import names, read_study
    from clusterseq.commands.shared.json_output import print_json
    from clusterseq.showing.terminal import screen

    titles = {name: read_study(name).title for name in names()}
    if as_json:
        print_json({"studies": [{"name": name, "title": title} for name, title in titles.items()]})
        return
    for name, title in titles.items():
        screen().print(f"{name:12} {title}", soft_wrap=True)


def _plan(study: Study, folder: Path | None, out: Path, seeds: str | None, threads: int) -> Plan:
    """What the study has to compute on the data sets that are there.

    Raises:
        ConfigError: none of them is.
    """
    from clusterseq.bench.models import chosen
    from clusterseq.bench.plan import Plan, numbers
    from clusterseq.presets import PRESETS

    default = PRESETS["default"]
    chosen_seeds = list(study.seeds) if seeds is None else numbers(seeds, "--seeds")
    reading = {"columns": (None, None, None, False)}  # as the bench reads a file of its own
    return Plan(
        {dataset: dataset.digest(default.data, reading) for dataset in _data(study, folder, out)},
        chosen(study.entries.values(), PRESETS),
        chosen_seeds,
        study.k,
        default.data,
        threads,
    )


def _data(study: Study, folder: Path | None, out: Path) -> list[BenchData]:
    from clusterseq.bench.study_data import find
    from clusterseq.errors import ConfigError
    from clusterseq.showing.terminal import note

    datasets, missing = find(study, folder, out)
    if missing:
        note(f"Left out, since --data has no such file: {', '.join(missing)}")
    if not datasets:
        raise ConfigError(
            f'experiment "{study.name}" needs one of {", ".join(missing)}; name their folder with '
            "--data"
        )
    return datasets


def _write(study: Study, summary: Summary, out: Path, command: str) -> list[Path]:
    """The page, the chart and the figures of a study."""
    from clusterseq.bench.study_page import markdown
    from clusterseq.bench.study_plot import draw
    from clusterseq.machine.files import write_whole
    from clusterseq.showing.drawing import rendered

    figures = json_lines.dumps({"study": study.name, **summary.to_dict()}, indent=1)
    contents = {
        "md": markdown(study, summary, command).encode(),
        "svg": rendered(draw(study, summary), "svg"),
        "json": figures.encode() + b"\n",
    }
    paths = [out / f"{study.name}.{ending}" for ending in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        write_whole(path, content)
    return paths
