"""What several commands print.

Knows nothing about: options, how results come about.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from clusterseq.commands.shared.ids import joined_ids
from clusterseq.learning.checkpoint import Checkpoint
from clusterseq.showing.display import comparison_lines, comparison_tables
from clusterseq.showing.terminal import screen
from clusterseq.using.comparison import Comparison

EXAMPLE_ITEMS = 3


def print_comparison(comparison: Comparison) -> None:
    """Both rankings as tables, and how sure the differences are."""
    console = screen()
    who, *details = comparison_lines(comparison)
    console.print(f"\n{who}")
    for table in comparison_tables(comparison):
        console.print(table)
    for line in details:
        console.print(line)


def print_next(directory: Path, checkpoint: Checkpoint) -> None:
    """Where the model is, and two commands to try on it."""
    popular = checkpoint.item_counts.argsort()[-EXAMPLE_ITEMS:]
    items = joined_ids(checkpoint.items.decode(popular))
    console = screen()
    console.print(f"\nThe model is saved in {directory}. What to type next:", soft_wrap=True)
    for words in (["recommend", str(directory), "--items", items], ["inspect", str(directory)]):
        console.print(f"  {program()} {shlex.join(words)}", soft_wrap=True)
    if _here() is None:
        console.print('This shell is in the former folder still; cd "$PWD" enters the new one.')


def program() -> str:
    """What the user has to type to run this program."""
    if shutil.which("clusterseq"):
        return "clusterseq"
    path = Path(sys.argv[0])
    if path.name != "clusterseq":
        return "python -m clusterseq"
    cwd = _here()
    return str(path.relative_to(cwd) if cwd and path.is_relative_to(cwd) else path)


def _here() -> Path | None:
    """The folder that the user is in; None if it is what the command has just replaced."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None
