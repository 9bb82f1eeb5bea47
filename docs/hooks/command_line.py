"""The reference of the command line, written anew from the commands' own help at every build.

Knows nothing about: what the commands do.
"""

from __future__ import annotations

from collections.abc import Iterator
from inspect import cleandoc
from typing import Any, get_args

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from clusterseq.cli import app

PAGE = "reference/cli.md"
HEAD = """# Command line

Results go to standard output, everything else to standard error
([errors and exit codes](errors.md)). `--debug`, after any command, shows where an error comes from;
`--json` prints [one object](../how-to/scripts.md) and nothing else.
This page is made from the commands' own help; `clusterseq COMMAND --help` prints the same.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page."""
    files.append(File.generated(config, PAGE, content=page()))
    return files


def page() -> str:
    """The whole page."""
    group: Any = typer.main.get_command(app)
    listed = "\n".join(
        f"| [`{name}`](#{name}) | {_first_line(command)} |" for name, command in _commands(group)
    )
    parts = [HEAD, f"| command | does |\n|---|---|\n{listed}"]
    parts += [_section(name, command) for name, command in _commands(group)]
    return "\n\n".join(parts) + "\n"


def _commands(group: Any) -> list[tuple[str, Any]]:
    return list(group.commands.items())


def _first_line(command: Any) -> str:
    return cleandoc(command.help).splitlines()[0]


def _section(name: str, command: Any) -> str:
    words = " ".join(_usage(command))
    usage = f"```text\nclusterseq {name} {words}\n```"
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option"]
    parts = [f"## {name} {{ #{name} }}", usage, *_paragraphs(command.help)]
    if arguments:
        rows = "\n".join(f"| `{_name(one)}` | {_cell(one.help)} |" for one in arguments)
        parts.append(f"| argument | |\n|---|---|\n{rows}")
    if options:
        rows = "\n".join(_row(one) for one in options)
        parts.append(f"| option | default | |\n|---|---|---|\n{rows}")
    return "\n\n".join(parts)


def _usage(command: Any) -> Iterator[str]:
    for one in command.params:
        if one.param_type_name == "argument":
            yield _name(one)
        elif one.required:
            yield f"{one.opts[0]} {_metavar(one)}"
    yield "[OPTIONS]"


def _paragraphs(text: str) -> Iterator[str]:
    """Prose as it is; what stands behind a ``\\b``, line by line, as examples."""
    for paragraph in cleandoc(text).split("\n\n"):
        if paragraph.startswith("\b"):
            yield f"```sh\n{paragraph.removeprefix(chr(8)).strip()}\n```"
        else:
            yield paragraph


def _row(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    value = "" if option.is_flag else f" `{_metavar(option)}`"
    return f"| {names}{_cell(value)} | {_default(option)} | {_cell(option.help)} |"


def _default(option: Any) -> str:
    value = option.default
    if option.required:
        return "required"
    if value is None or value is False or value == "":
        return ""
    return "on" if value is True else f"`{value}`"


def _name(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _metavar(option: Any) -> str:
    """What a value looks like: as the help says, or by its type."""
    kind = option.type_descriptor.annotation
    return str(option.metavar or "|".join(map(str, get_args(kind))) or kind.__name__.upper())


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|")
