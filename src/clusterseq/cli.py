"""The command line: which commands there are, how errors are told, and the status at the end.

Results go to standard output, everything else to standard error. An error that clusterseq foresees
is one line, another that names the page about it, and status 2; with ``--json`` it is an object.
Ctrl-C is status 130. What takes long to import is imported inside the command that needs it.

Knows nothing about: what the commands do.
"""

from __future__ import annotations

import io
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

import clusterseq as package
from clusterseq.commands.bench import bench
from clusterseq.commands.config import config
from clusterseq.commands.demo import demo
from clusterseq.commands.doctor import doctor
from clusterseq.commands.evaluate import evaluate
from clusterseq.commands.experiment import experiment
from clusterseq.commands.export import export
from clusterseq.commands.help import BAD_INPUT, STATUS, help
from clusterseq.commands.index import index
from clusterseq.commands.inspect import inspect
from clusterseq.commands.keys import keys
from clusterseq.commands.prepare import prepare
from clusterseq.commands.pull import pull
from clusterseq.commands.push import push
from clusterseq.commands.recommend import recommend
from clusterseq.commands.report import report
from clusterseq.commands.serve import serve
from clusterseq.commands.shared.json_output import nobody_reads, print_json_line
from clusterseq.commands.train import train
from clusterseq.commands.tune import tune
from clusterseq.commands.update import update
from clusterseq.errors import INTERRUPTED, ClusterSeqError, Code
from clusterseq.machine.files import FULL

USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]
"""Raised at wrong options; where Typer keeps it depends on its version."""
NO_MEMORY = "can't allocate memory"
"""How the tensor library says what Python calls a MemoryError."""

app = typer.Typer(add_completion=True, rich_markup_mode=None)
COMMANDS = (
    demo,
    prepare,
    train,
    update,
    evaluate,
    recommend,
    report,
    serve,
    keys,
    inspect,
    index,
    bench,
    experiment,
    tune,
    config,
    doctor,
    export,
    push,
    pull,
    help,
)
for command in COMMANDS:
    app.command()(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the status that the program ends with."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in words
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what an encoding lacks spoils no finished work
            stream.reconfigure(errors="replace")
    try:
        status = _run([word for word in words if word != "--debug"])
        if sys.stdout is not None:  # whoever started this may have closed it
            sys.stdout.flush()
    except BrokenPipeError:
        nobody_reads(sys.stdout)
        return STATUS["unforeseen"]
    except Exception as error:
        if "--debug" in words:
            traceback.print_exc()
        return _tell(*_classified(error), as_json=as_json)
    return _tell("interrupted", "stopped", as_json=as_json) if status == INTERRUPTED else status


def _run(words: list[str]) -> int:
    command = typer.main.get_command(app)
    try:
        status = command.main(words or ["--help"], prog_name="clusterseq", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    return status if isinstance(status, int) else 0


def _classified(error: Exception) -> tuple[Code, str]:
    """What kind of error it is, and what to tell about it."""
    if isinstance(error, USAGE_ERROR):
        message: str = error.format_message()  # type: ignore[attr-defined]
        return "usage", f"{message.rstrip('.')}; --help shows what can be given"
    if isinstance(error, MemoryError) or NO_MEMORY in str(error):
        return "memory", (
            "out of memory; take a narrower model (--set model.dim=32), leave out rare items "
            "(--set data.min_item_events=5), or give the machine more"
        )
    if isinstance(error, ClusterSeqError):
        return error.code, str(error)
    if isinstance(error, OSError) and error.errno in FULL:
        return "output", f"{error.strerror}; free some room, or write to another place"
    message = f"{type(error).__name__}: {error}"
    return "unforeseen", f"{message}; --debug shows where it comes from"


def _tell(code: Code, message: str, *, as_json: bool) -> int:
    """Print what the matter is; returns the status that goes with it."""
    status, line = STATUS.get(code, BAD_INPUT), " ".join(message.split())
    if as_json:
        print_json_line({"code": code, "message": line, "status": status}, sys.stderr)
    elif code == "interrupted":
        print(f"clusterseq: {line}", file=sys.stderr)
    else:
        print(f"clusterseq: error: {line}", file=sys.stderr)
        print(f"clusterseq help {code} tells more", file=sys.stderr)
    return status


@app.callback(invoke_without_command=True)
def clusterseq(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an error comes from (after any command).")
    ] = False,
) -> None:
    """Recommend the next item to people never seen, from the first few things they touch.

    \b
    clusterseq demo                                  try it on bundled film ratings
    clusterseq train events.csv --out model          learn from an event log
    clusterseq recommend model --items milk,bread    recommend to somebody new
    """
    if version:
        print(f"clusterseq {package.__version__}")
        raise typer.Exit
