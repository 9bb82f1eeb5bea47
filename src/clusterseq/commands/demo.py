"""``clusterseq demo``.

Knows nothing about: how models learn.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clusterseq.commands import options


def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the model is saved.")] = Path(
        "clusterseq-demo"
    ),
    seed: options.Seed = 0,
    threads: options.Threads = 0,
) -> None:
    """Try it all on bundled film ratings.

    Trains, judges the model, and recommends to three newcomers; takes some minutes.

    \b
    clusterseq demo
    """
    from clusterseq.commands.showing import print_comparison, print_next
    from clusterseq.commands.train import run
    from clusterseq.config import Runtime
    from clusterseq.showing.display import newcomer_table
    from clusterseq.showing.terminal import screen
    from clusterseq.using.demo import experiment, newcomers

    trial = experiment(out, runtime=Runtime(seed, threads))
    for line in trial.events.report.lines():
        screen(stderr=True).print(line, soft_wrap=True)
    checkpoint, comparison = run(trial)
    if comparison:
        print_comparison(comparison)
        for newcomer in newcomers(trial, checkpoint, comparison):
            screen().print("", newcomer_table(newcomer), sep="\n")
    print_next(out, checkpoint)
