"""``clusterseq inspect``.

Knows nothing about: what the figures mean.
"""

from __future__ import annotations

from typing import Annotated

import typer

from clusterseq.commands.shared import options


def inspect(
    path: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|EVENTS", parser=options.named, help="A saved model, or events."
        ),
    ],
    json: options.Json = False,
    user_column: options.UserColumn = None,
    item_column: options.ItemColumn = None,
    time_column: options.TimeColumn = None,
    skip_bad: options.SkipBad = False,
) -> None:
    """Tell about a model or about events.

    \b
    clusterseq inspect model
    clusterseq inspect events.csv --json
    """
    from clusterseq.commands.shared.events import read_data
    from clusterseq.commands.shared.json_output import print_json
    from clusterseq.learning.checkpoint import is_checkpoint, load_checkpoint
    from clusterseq.showing.display import card, card_table
    from clusterseq.showing.terminal import screen

    if is_checkpoint(path):
        checkpoint = load_checkpoint(path)
        if json:
            print_json(card(checkpoint))
        else:
            screen().print(card_table(checkpoint))
        return
    events = read_data([path], user_column, item_column, time_column, skip_bad, quiet=True)
    if json:
        print_json({"kind": "events", **events.report.to_dict()})
    else:
        for line in events.report.lines():
            screen().print(line, soft_wrap=True)
