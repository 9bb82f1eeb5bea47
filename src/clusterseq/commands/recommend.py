"""``clusterseq recommend``.

Knows nothing about: how recommendations come about.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clusterseq.commands.shared import options
from clusterseq.commands.shared.ids import split_ids
from clusterseq.errors import ConfigError

if TYPE_CHECKING:
    from clusterseq.using.batch import BatchSummary
    from clusterseq.using.recommendations import Recommendations
    from clusterseq.using.recommender import Recommender


def recommend(
    model: options.ModelPath,
    items: Annotated[
        str | None,
        typer.Option(metavar="A,B,C", help="What somebody touched, oldest first; perhaps ''."),
    ] = None,
    k: Annotated[
        int, typer.Option("--k", metavar="N", min=1, help="How many items to recommend.")
    ] = 10,
    exclude: Annotated[str, typer.Option(metavar="A,B,C", help="Items never to recommend.")] = "",
    only: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="Recommend nothing but these.")
    ] = None,
    keep_seen: Annotated[
        bool, typer.Option("--keep-seen", help="Recommend also what was touched already.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say why (with --items, not for a file).")
    ] = False,
    device: options.Device = "cpu",
    json: options.Json = False,
    source: Annotated[
        str | None,
        typer.Option(
            "--input", metavar="EVENTS", parser=options.named, help="Events of many people."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            parser=options.path,
            help="Their recommendations: .parquet, .csv or .jsonl.",
        ),
    ] = None,
    engine: options.Engine = "local",
    user_column: options.UserColumn = None,
    item_column: options.ItemColumn = None,
    time_column: options.TimeColumn = None,
    skip_bad: options.SkipBad = False,
) -> None:
    """Recommend to a person or to a whole file.

    The model needn't know any of the people, only what they touched.

    \b
    clusterseq recommend model --items milk,bread --explain
    clusterseq recommend model --items 'milk,"bread, white"'     an id with a comma
    clusterseq recommend model --input newcomers.parquet --output recs.parquet
    """
    if (items is None) == (source is None):
        raise ConfigError("whom to recommend to? give either --items A,B,C or --input EVENTS")
    if (source is None) != (output is None):
        raise ConfigError("--input and --output go together; give both or neither")
    if engine == "ray" and source is None:
        raise ConfigError("--engine ray goes with --input; one person needs no cluster")
    if explain and source is not None:
        raise ConfigError("--explain goes with --items; recommend to one person to see why")
    from clusterseq.using.recommender import Recommender

    recommender = Recommender.load(model, device)
    refused, choice = split_ids(exclude), None if only is None else split_ids(only)
    _tell_unknown(recommender, {"--exclude": refused, "--only": choice or []})
    if source is None or output is None:
        history = split_ids(items or "")
        recommendations = recommender.recommend(
            history, k, exclude=refused, only=choice, filter_seen=not keep_seen, explain=explain
        )
        _show(recommendations, history, as_json=json)
        return
    from clusterseq.commands.shared.events import read_data
    from clusterseq.machine.mapping import by_ray, one_by_one
    from clusterseq.using.batch import check_output, recommend_file
    from clusterseq.using.overwriting import refuse_overwriting

    refuse_overwriting([source], output, model=model)
    check_output(output)
    events = read_data([source], user_column, item_column, time_column, skip_bad)
    write = partial(recommend_file, recommender, events, output, k=k, exclude=refused, only=choice)
    mapper = by_ray if engine == "ray" else one_by_one
    _write(partial(write, filter_seen=not keep_seen, mapper=mapper), output, as_json=json)


def _write(write: Callable[..., BatchSummary], output: Path, *, as_json: bool) -> None:
    from clusterseq.commands.shared.json_output import print_json
    from clusterseq.showing.terminal import Bar, note

    with Bar("recommending") as bar:
        summary = write(progress=bar)
    if as_json:
        print_json({"out": str(output), **dataclasses.asdict(summary)})
        return
    note(
        f"{summary.rows:,} recommendations for {summary.users:,} people in {output}; the model "
        f"knows the items of {summary.coverage:.1%} of their events"
    )


def _tell_unknown(recommender: Recommender, filters: Mapping[str, list[str]]) -> None:
    """Say which ids of a filter change nothing: one may be misspelt."""
    from clusterseq.showing.terminal import note
    from clusterseq.using.recommender import unknown_items

    for option, ids in filters.items():
        if unknown := unknown_items(ids, recommender.items.encode(ids)):
            named = ", ".join(map(str, unknown))
            note(f"The model doesn't know {named} ({option}).")


def _show(recommendations: Recommendations, history: list[str], *, as_json: bool) -> None:
    from clusterseq.commands.shared.json_output import print_json
    from clusterseq.showing.display import HOW_TO_READ, recommendations_table
    from clusterseq.showing.terminal import note, screen

    if as_json:
        print_json(recommendations.to_dict())
        return
    screen().print(recommendations_table(recommendations))
    if any(entry.why is not None for entry in recommendations):
        note(HOW_TO_READ)
    if recommendations.ignored_items:
        ignored = ", ".join(map(str, recommendations.ignored_items))
        line = f"The model doesn't know {ignored}."
        if set(history) <= set(map(str, recommendations.ignored_items)):
            line += " Nothing else was given, so this is what suits people on the whole."
        note(line)
