"""``clusterseq tune``.

Knows nothing about: how options are proposed, how models learn.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clusterseq.commands.shared import options
from clusterseq.errors import ConfigError

if TYPE_CHECKING:
    from optuna import Study

    from clusterseq.config import Config
    from clusterseq.learning.tuning import Search


def tune(
    events: options.EventPaths,
    out: Annotated[
        Path, typer.Option(metavar="DIR", parser=options.path, help="Where the search is kept.")
    ],
    trials: Annotated[
        int, typer.Option(metavar="N", min=1, help="Trainings in all, earlier runs counted in.")
    ] = 30,
    ranges: Annotated[
        list[str] | None,
        typer.Option("--range", metavar="OPTION=LOW:HIGH", help="What to look through."),
    ] = None,
    preset: options.Preset = "default",
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE.toml", parser=options.path, help="Options to change."),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="OPTION=VALUE", help="One option that stays."),
    ] = None,
    split: Annotated[
        str | None, typer.Option(metavar="temporal|random", help="Who is new.")
    ] = None,
    seed: options.Seed = 0,
    threads: options.Threads = 0,
    json: options.Json = False,
    user_column: options.UserColumn = None,
    item_column: options.ItemColumn = None,
    time_column: options.TimeColumn = None,
    skip_bad: options.SkipBad = False,
) -> None:
    """Look for better options.

    Many trainings, judged by validation users alone; the test users are never looked at.

    \b
    clusterseq tune events.csv --out search
    clusterseq tune events.csv --out search --range model.dim=32:256:log --range 'model.scale=5|10'
    clusterseq train events.csv --out model --config search/best.toml

    What is done is kept: the same command goes on after Ctrl-C; more --trials add some.
    """
    from clusterseq.commands.shared.configuration import configuration
    from clusterseq.commands.shared.events import read_data
    from clusterseq.commands.shared.json_output import print_json
    from clusterseq.learning.ranges import DEFAULT_RANGES, Range
    from clusterseq.learning.tuning import Search, best_assignments, require_search
    from clusterseq.machine.unfinished import exclusive_lock
    from clusterseq.overrides import flat, with_assignments
    from clusterseq.showing.terminal import note, screen
    from clusterseq.using.evaluation import split_events

    chosen = configuration(preset, config, assignments or [], split)
    if chosen.data.split == "none":
        raise ConfigError('split = "none" leaves nobody to judge; give temporal or random')
    searched = [Range.parse(text, chosen) for text in ranges or DEFAULT_RANGES]
    if threads:
        import torch

        torch.set_num_threads(threads)
    with exclusive_lock(out):
        require_search(out)
        data = read_data(events, user_column, item_column, time_column, skip_bad)
        parts = split_events(data, chosen.data, seed)
        search = Search(parts.known, parts.validation, len(parts.items), chosen, searched, seed)
        study = _run(search, out, trials)
        best = best_assignments(study, searched, chosen)
        tuned = with_assignments(chosen, [f"{option}={value}" for option, value in best.items()])
        written = _write(study, out, tuned)
    if json:
        values = {"out": str(out), "trials": len(study.trials), search.measure: study.best_value}
        print_json({**values, "best": {option: flat(tuned)[option] for option in best}})
        return
    note(f"Written: {', '.join(map(str, written))}")
    screen().print(f"train --config {shlex.quote(str(written[0]))}", soft_wrap=True)


def _run(search: Search, out: Path, trials: int) -> Study:
    """Search under the eyes of the user: a line for every trial, and how many are left.

    Raises:
        KeyboardInterrupt: after saying how to go on.
    """
    from clusterseq.showing.terminal import Bar, note

    measure = search.measure.replace("_", " ")
    with Bar("trials") as bar:

        def report(number: int, value: float | None, parameters: Mapping[str, Any]) -> None:
            reached = "stopped early" if value is None else f"{measure} {value:.4f}"
            values = ", ".join(f"{name} = {_short(choice)}" for name, choice in parameters.items())
            note(f"trial {number}: {reached} with {values}")
            bar(number, trials)

        bar(0, trials)
        try:
            return search.run(out, trials, report)
        except KeyboardInterrupt:
            note(f"What was finished is kept in {out}; the same command goes on.")
            raise


def _write(study: Study, out: Path, best: Config) -> list[Path]:
    """The best options as TOML, all trials as CSV, and what mattered as a chart."""
    from clusterseq.learning.tuning import importances
    from clusterseq.machine.files import write_whole
    from clusterseq.overrides import to_toml
    from clusterseq.showing.drawing import BLUE, panels, rendered

    frame = study.trials_dataframe(attrs=("number", "state", "value", "params", "duration"))
    contents = {
        "best.toml": to_toml(best).encode(),
        "trials.csv": frame.to_csv(index=False).encode(),
    }
    if shares := importances(study):
        figure, (axes,) = panels(1, (6.0, 0.8 + 0.4 * len(shares)))
        rows = list(shares.items())[::-1]
        axes.barh([name for name, _ in rows], [share for _, share in rows], color=BLUE)
        axes.set(xlabel="importance: share of the spread between trials that an option explains")
        contents["importance.svg"] = rendered(figure, "svg")
    paths = [out / name for name in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        write_whole(path, content)
    return paths


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
