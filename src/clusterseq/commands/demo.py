"""``clusterseq demo``.

Knows nothing about: how models learn.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clusterseq.commands.shared import options

if TYPE_CHECKING:
    from clusterseq.learning.checkpoint import Checkpoint
    from clusterseq.using.comparison import Comparison
    from clusterseq.using.experiment import Experiment


def demo(
    out: Annotated[
        Path, typer.Option(metavar="DIR", parser=options.path, help="Where the model is saved.")
    ] = Path("clusterseq-demo"),
    seed: options.Seed = 0,
    threads: options.Threads = 0,
    json: options.Json = False,
) -> None:
    """Try it all on bundled film ratings.

    Trains, judges the model, and recommends to three newcomers; takes some minutes.

    \b
    clusterseq demo
    """
    from clusterseq.commands.shared.json_output import print_json
    from clusterseq.commands.shared.training import as_dict, print_outcome
    from clusterseq.showing.display import newcomer_table
    from clusterseq.showing.terminal import screen
    from clusterseq.using.demo import newcomers

    trial, checkpoint, comparison = trained(out, seed, threads)
    examples = [] if comparison is None else list(newcomers(trial, checkpoint, comparison))
    if json:
        values = [
            {**vars(newcomer), "recommended": newcomer.recommended.to_dict()}
            for newcomer in examples
        ]
        print_json({**as_dict(out, checkpoint), "newcomers": values})
        return
    print_outcome(out, checkpoint, comparison)
    for newcomer in examples:
        screen().print("", newcomer_table(newcomer), sep="\n")


def trained(
    out: Path, seed: int = 0, threads: int = 0
) -> tuple[Experiment, Checkpoint, Comparison | None]:
    """Train on the bundled ratings under the eyes of the user."""
    from clusterseq.commands.shared.events import print_report
    from clusterseq.commands.shared.training import run_experiment
    from clusterseq.config import Runtime
    from clusterseq.using.demo import experiment

    trial = experiment(out, runtime=Runtime(seed, threads))
    print_report(trial.events.report)
    return trial, *run_experiment(trial)
