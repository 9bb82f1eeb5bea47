"""``clusterseq train``.

Knows nothing about: how models learn.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from clusterseq.commands import options
from clusterseq.config import Config, Runtime
from clusterseq.presets import preset as named
from clusterseq.values import from_dict, read_toml

if TYPE_CHECKING:
    from clusterseq.learning.checkpoint import Checkpoint
    from clusterseq.learning.profiler import Profiler
    from clusterseq.learning.trackers import Tracker
    from clusterseq.machine.progress import Watcher
    from clusterseq.using.comparison import Comparison
    from clusterseq.using.experiment import Experiment


PROGRAM = "clusterseq.cli:main"


def train(
    events: options.EventPaths,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the model is saved.")],
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
        typer.Option(metavar="FILE.toml", help="Options to change; clusterseq config lists them."),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="OPTION=VALUE", help="One option, such as model.dim=64."),
    ] = None,
    titles: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Names of items: columns item and title.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the training that was stopped.")
    ] = False,
    threads: options.Threads = 0,
    device: options.Device = "cpu",
    workers: Annotated[int, typer.Option(min=1, help="Processes that train it together.")] = 1,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(
            help="Where they are: here, or on the Ray cluster of RAY_ADDRESS, which"
            " starts them anew from the last epoch if one dies (extra: ray)."
        ),
    ] = "local",
    shard_items: Annotated[
        bool, typer.Option("--shard-items", help="Share the item table out over them.")
    ] = False,
    profile: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write traces of some steps of each stage there."),
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
    chosen = configuration(preset, config, assignments or [], split)
    if (workers > 1 or engine == "ray") and "WORLD_SIZE" not in os.environ:
        _together(workers, engine, out, resume=resume, as_json=json)
    from clusterseq.commands.printing import print_json
    from clusterseq.commands.reading import read
    from clusterseq.machine.workers import speaks
    from clusterseq.reading.titles import read_titles
    from clusterseq.using.experiment import Experiment

    names = None if titles is None else read_titles(titles)
    columns = (user_column, item_column, time_column, skip_bad)
    found = read(events, *columns, quiet=not speaks())
    runtime = Runtime(seed, threads, device, shard_items)
    experiment = Experiment(found, out, chosen, runtime, names, k)
    checkpoint, comparison = run(experiment, resume=resume, profile=profile, tracker=tracker)
    if json and speaks():
        print_json(as_dict(out, checkpoint))
    elif speaks():
        show(out, checkpoint, comparison)


def _together(workers: int, engine: str, out: Path, *, resume: bool, as_json: bool) -> None:
    """Run the same command in several processes, and end with them."""
    if engine == "ray":
        from clusterseq.commands.printing import print_json
        from clusterseq.learning.checkpoint import load_checkpoint
        from clusterseq.using.ray_train import trained

        if status := trained(PROGRAM, sys.argv[1:], workers, out, resume=resume):
            raise typer.Exit(status)
        checkpoint = load_checkpoint(out)  # nobody hears the processes of a cluster
        print_json(as_dict(out, checkpoint)) if as_json else show(out, checkpoint, None)
        raise typer.Exit
    from clusterseq.machine.workers import started

    started(sys.argv[1:], workers)
    raise typer.Exit


def as_dict(out: Path, checkpoint: Checkpoint) -> dict[str, Any]:
    """What has come of a training; ``test`` is what evaluate prints, or null if nobody judges."""
    return {
        "out": str(out),
        "items": len(checkpoint.items),
        "known_users": checkpoint.provenance.known_users,
        "test": checkpoint.metrics.get("test"),
    }


def show(out: Path, checkpoint: Checkpoint, comparison: Comparison | None) -> None:
    """The same for people, and what to type next."""
    from clusterseq.commands.showing import print_comparison, print_next

    if comparison:
        print_comparison(comparison)
    print_next(out, checkpoint)


def configuration(
    base: str, file: Path | None, assignments: list[str], split: str | None
) -> Config:
    """A preset, changed by a TOML file, then by single options, then by the split asked for.

    Raises:
        ConfigError: a key is unknown or a value can't be used.
    """
    from clusterseq.overrides import with_assignments

    config = named(base)
    if file is not None:
        config = read_toml(file, base=config)
    config = with_assignments(config, assignments)
    if split is not None:
        config = from_dict(Config, {"data": {"split": split}}, base=config)
    return config


def run(
    experiment: Experiment,
    *,
    resume: bool = False,
    profile: Path | None = None,
    tracker: str | None = None,
) -> tuple[Checkpoint, Comparison | None]:
    """Run an experiment under the eyes of the user, and of a profiler and a tracker if asked for.

    Raises:
        KeyboardInterrupt: after saying how to go on.
    """
    from clusterseq.learning.training_log import Together
    from clusterseq.machine.workers import speaks
    from clusterseq.showing.terminal import TrainingScreen, screen

    if not speaks():
        return experiment.run(resume=resume)
    notes = screen(stderr=True)
    if experiment.can_resume and not resume:
        notes.print("A training was stopped here; it is begun anew, since --resume isn't given.")
    tracked = _tracked(experiment, tracker)
    try:
        with TrainingScreen() as shown, ExitStack() as stack:
            progress = partial(shown.step, "evaluate")
            watcher: Watcher = shown if tracked is None else Together(shown, tracked)
            if profile is not None:
                watcher = stack.enter_context(_profiler(watcher, profile))
            found = experiment.run(resume=resume, watcher=watcher, progress=progress)
    except KeyboardInterrupt:
        if experiment.can_resume:
            place = experiment.unfinished
            note = f"What was learnt is kept in {place}; the same command with --resume goes on."
            notes.print(note, soft_wrap=True)
        raise
    if profile is not None:
        notes.print(f"Traces are in {profile}; a .json opens in a browser's chrome://tracing.")
    if tracked is not None:
        tracked.finish(_test_figures(found[1]))
    return found


def _tracked(experiment: Experiment, name: str | None) -> Tracker | None:
    if name is None:
        return None
    from clusterseq.learning.trackers import tracker_named

    return tracker_named(name, Path(experiment.out), experiment.config)


def _profiler(watcher: Watcher, folder: Path) -> Profiler:
    from clusterseq.learning.profiler import Profiler

    return Profiler(watcher, folder)


def _test_figures(comparison: Comparison | None) -> dict[str, float]:
    if comparison is None:
        return {}
    figures = comparison.to_dict()
    return {
        f"test/{ranking}_{name}": value
        for ranking in ("full", "sampled")
        for name, value in figures[ranking].items()
        if isinstance(value, float)
    }
