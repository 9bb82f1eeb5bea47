"""``clusterseq report``.

Knows nothing about: what a report says.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from clusterseq import options
from clusterseq.errors import ConfigError

FORMATS = ("html", "md", "json")


def report(
    model: options.ModelPath,
    events: Annotated[
        list[str] | None,
        typer.Argument(metavar="[EVENTS...]", help="The events that it was trained on."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where it is written (MODEL-report.html).")
    ] = None,
    kind: Annotated[
        str, typer.Option("--format", metavar="html|md|json", help="For people or for programs.")
    ] = "html",
    user_column: options.UserColumn = None,
    item_column: options.ItemColumn = None,
    time_column: options.TimeColumn = None,
    skip_bad: options.SkipBad = False,
) -> None:
    """Tell about a model on one page with charts.

    What it learnt, and how well it does.

    With the events it was trained on there is more to say: how many items of a person it takes,
    what adaptation changes, where people stand on the map.

    \b
    clusterseq report model
    clusterseq report model events.csv --out report.html
    clusterseq report model events.csv --format json --out report.json
    """
    if kind not in FORMATS:
        raise ConfigError(f"format = {kind!r} can't be used; give html, md or json")
    from clusterseq.checkpoint import load_checkpoint
    from clusterseq.commands.reading import read
    from clusterseq.files import write_whole
    from clusterseq.report.findings import find_out
    from clusterseq.report.page import markdown, page
    from clusterseq.report.sections import sections
    from clusterseq.terminal import Bars, screen

    checkpoint = load_checkpoint(model)
    found = read(events, user_column, item_column, time_column, skip_bad) if events else None
    with Bars() as bars:
        findings = find_out(model, checkpoint, found, bars.step)
    if kind == "json":
        text = json.dumps(findings.to_dict(), ensure_ascii=False, indent=1) + "\n"
    else:
        make = page if kind == "html" else markdown
        text = make(findings, list(sections(findings)))
    target = out or Path(f"{model.resolve().name}-report.{kind}")
    write_whole(target, text.encode())
    screen(stderr=True).print(f"The report is in {target}.", soft_wrap=True)
