"""Tables in Markdown.

Knows nothing about: what stands in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def markdown_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, prose: bool = False
) -> str:
    """Rows of text under columns: the first names the row, the others hold numbers, or prose.

    >>> print(markdown_table(["model", "MRR"], [["a|b", "0.12"]]))
    | model | MRR |
    | --- | --: |
    | a\\|b | 0.12 |
    """
    ruler = ["---", *["---" if prose else "--:"] * (len(columns) - 1)]
    lines = [[cell.replace("|", "\\|") for cell in line] for line in (columns, ruler, *rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
