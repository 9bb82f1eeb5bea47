"""``clusterseq report``.

Knows nothing about: what a report says.
"""

from __future__ import annotations

import json as json_text
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from clusterseq.commands.shared import options
from clusterseq.errors import ConfigError

if TYPE_CHECKING:
    from clusterseq.data.dataset import Data
    from clusterseq.report.section import Section

FORMATS = ("html", "md", "json")


class Told(NamedTuple):
    """What a report is made of."""

    name: str
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]
    values: dict[str, Any]
    """The same for programs."""


def report(
    subject: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL|BENCH",
            parser=options.path,
            help="The directory that train has saved, or bench's --out.",
        ),
    ],
    events: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="EVENTS", parser=options.named, help="The events that the model was trained on."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", parser=options.path, help="Where it is written (MODEL-report.html)."
        ),
    ] = None,
    kind: Annotated[
        str, typer.Option("--format", metavar="html|md|json", help="For people or for programs.")
    ] = "html",
    json: options.Json = False,
    user_column: options.UserColumn = None,
    item_column: options.ItemColumn = None,
    time_column: options.TimeColumn = None,
    skip_bad: options.SkipBad = False,
) -> None:
    """Tell about a model or a bench on one page with charts.

    Of a model: what it learnt, and how well it does. With the events it was trained on there is
    more to say: how many items of a person it takes, what adaptation changes, where people stand on
    the map. Of a bench: all models beside each other, on every data set.

    \b
    clusterseq report model
    clusterseq report model events.csv --out report.html
    clusterseq report model events.csv --format json --out report.json
    clusterseq report bench
    """
    if kind not in FORMATS:
        raise ConfigError(f"format = {kind!r} can't be used; give html, md or json")
    from clusterseq.bench.results import holds_results
    from clusterseq.commands.shared.events import read_data
    from clusterseq.commands.shared.json_output import print_json
    from clusterseq.machine.files import write_whole
    from clusterseq.report.page import markdown, page
    from clusterseq.showing.terminal import note
    from clusterseq.using.overwriting import refuse_overwriting

    of_results = holds_results(subject)
    refuse_overwriting(events or [], out, model=None if of_results else subject)
    if of_results:
        if events:
            raise ConfigError(f"{subject} is a bench, which knows its events; leave EVENTS out")
        content = of_bench(subject)
    else:
        data = (
            read_data(events, user_column, item_column, time_column, skip_bad) if events else None
        )
        content = of_model(subject, data)
    if kind == "json":
        text = json_text.dumps(content.values, ensure_ascii=False, indent=1) + "\n"
    else:
        make = page if kind == "html" else markdown
        text = make(content.name, content.facts, content.sections)
    target = out or Path(f"{subject.resolve().name}-report.{kind}")
    write_whole(target, text.encode())
    if json:
        print_json({"out": str(target), "format": kind})
    else:
        note(f"The report is in {target}.")


def of_model(directory: Path, events: Data | None) -> Told:
    """What there is to say of a model, found out under the eyes of the user."""
    from clusterseq.learning.checkpoint import load_checkpoint
    from clusterseq.report.findings import find_out
    from clusterseq.report.sections import headline, sections
    from clusterseq.showing.terminal import Bars

    with Bars() as bars:
        findings = find_out(directory, load_checkpoint(directory), events, bars.step)
    return Told(findings.name, headline(findings), list(sections(findings)), findings.to_dict())


def of_bench(directory: Path) -> Told:
    """What there is to say of a bench, summed up under the eyes of the user."""
    from clusterseq.bench.report import as_dict
    from clusterseq.bench.results import Results, in_force
    from clusterseq.bench.sections import headline, sections
    from clusterseq.bench.summary import summarise
    from clusterseq.showing.terminal import Bar

    results = Results(directory)
    with Bar("drawing people for intervals") as bar:
        summary = summarise(in_force(results.rows(), []), results.ranks, bar)
    return Told(
        directory.resolve().name, headline(summary), list(sections(summary)), as_dict(summary)
    )
