"""Tables in Markdown.

Knows nothing about: what stands in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def markdown_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, prose: bool = False
) -> str:
    """Rows of text under columns: the first names the row, the others hold numbers, or prose.

    >>> print(markdown_table(["model", "MRR"], [["a|b c <br>", "0.12"]]))
    | model | MRR |
    | --- | --: |
    | a\\|b c \\<br> | 0.12 |
    """
    ruler = ["---", *["---" if prose else "--:"] * (len(columns) - 1)]
    lines = [[_escaped(cell) for cell in line] for line in (columns, ruler, *rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escaped(cell: str) -> str:
    """On one line, and neither the end of a cell nor a tag."""
    return " ".join(cell.split()).replace("|", "\\|").replace("<", "\\<")
