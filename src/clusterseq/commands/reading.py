"""Events as commands read them: any number of paths, with the report on standard error.

Knows nothing about: what becomes of the events.
"""

from __future__ import annotations

from clusterseq.events import Events, read_events
from clusterseq.terminal import screen


def read(
    paths: list[str],
    user_column: str | None = None,
    item_column: str | None = None,
    time_column: str | None = None,
    skip_bad: bool = False,
    *,
    quiet: bool = False,
) -> Events:
    """Read events and say what was read.

    Raises:
        DataError: they can't be read.
    """
    events = read_events(
        paths if len(paths) > 1 else paths[0],
        user_column=user_column,
        item_column=item_column,
        time_column=time_column,
        skip_bad=skip_bad,
    )
    if not quiet:
        for line in events.report.lines():
            screen(stderr=True).print(line, soft_wrap=True)
    return events
