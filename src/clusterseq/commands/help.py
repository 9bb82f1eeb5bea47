"""``clusterseq help``: a page about every kind of error, the same as on the site.

Knows nothing about: where errors come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Annotated, Any, get_args

import typer

from clusterseq.commands.shared import options
from clusterseq.commands.shared.json_output import print_json
from clusterseq.errors import INTERRUPTED, Code, ConfigError, nearest

HOME = resources.files("clusterseq").joinpath("help")
"""A folder of Markdown files, each named after its code."""
CODES: tuple[Code, ...] = get_args(Code)
STATUS: Mapping[Code, int] = {"unforeseen": 1, "interrupted": INTERRUPTED}
"""With what status the command line ends, where it isn't that of bad input."""
BAD_INPUT = 2


@dataclass(frozen=True)
class Page:
    """What there is to say about one kind of error."""

    code: Code
    """Its name."""
    title: str
    """What it is, in one line."""
    text: str
    """All of it, in Markdown, below the title."""

    @property
    def status(self) -> int:
        """The status that the command line ends with."""
        return STATUS.get(self.code, BAD_INPUT)

    def __str__(self) -> str:
        return f"{self.code}: {self.title} (exit status {self.status})\n\n{self.text}"


def page(code: Code) -> Page:
    """The page of one code.

    >>> page("row").title
    "A row of the events can't be used"
    """
    text = HOME.joinpath(f"{code}.md").read_text("utf-8")
    title, _, rest = text.removeprefix("# ").partition("\n\n")
    return Page(code, title, rest)


def help(
    context: options.Context,
    topic: Annotated[
        str | None,
        typer.Argument(metavar="CODE", help="The code of an error, or a command's name."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Tell more about an error.

    Every error has a code, which stays the same where its words change. Without one, all are
    listed.

    \b
    clusterseq help
    clusterseq help columns
    """
    group: Any = context.parent and context.parent.command
    if topic is None:
        _list(json=json)
    elif topic in CODES:
        entry = page(topic)
        values = {"code": topic, "status": entry.status, "title": entry.title, "text": entry.text}
        print_json(values) if json else print(entry, end="")
    elif topic in group.commands:
        command = group.commands[topic]
        text = command.get_help(options.Context(command, context.parent, topic))
        print_json({"command": topic, "text": text}) if json else print(text)
    else:
        known = dict.fromkeys([*CODES, *group.commands])
        hint = nearest(topic, known)
        raise ConfigError(f'"{topic}" is neither the code of an error nor a command; {hint}')


def _list(*, json: bool) -> None:
    pages = [page(code) for code in CODES]
    if json:
        values = [
            {"code": entry.code, "status": entry.status, "title": entry.title} for entry in pages
        ]
        print_json({"codes": values})
        return
    print("Every error ends with its code; clusterseq help CODE tells more.\n")
    for entry in pages:
        print(f"  {entry.code:12} {entry.title}")
    print("\nclusterseq COMMAND --help lists the options of a command.")
