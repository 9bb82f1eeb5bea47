"""``clusterseq doctor``.

Knows nothing about: what is looked at.
"""

from __future__ import annotations

from typing import Annotated

import typer

from clusterseq.commands.shared import options

FAILED = 1
MARKS = {"fine": "ok  ", "note": "note", "wrong": "BAD "}


def doctor(
    store: Annotated[
        str | None, typer.Option(metavar="FILE|redis://…", help="Also ask a store of histories.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Check that this machine can run clusterseq.

    Versions, threads, memory, accelerator, extras. Ends with status 1 if something won't work.

    \b
    clusterseq doctor
    clusterseq doctor --store redis://localhost:6379/0 --json
    """
    from clusterseq.commands.shared.checkup import examine
    from clusterseq.commands.shared.json_output import print_json
    from clusterseq.showing.terminal import screen

    findings = list(examine(store))
    if json:
        print_json({"findings": [dict(vars(finding)) for finding in findings]})
    else:
        for finding in findings:
            screen().print(f"{MARKS[finding.state]} {finding.what}: {finding.told}", soft_wrap=True)
    if any(finding.state == "wrong" for finding in findings):
        raise typer.Exit(FAILED)
