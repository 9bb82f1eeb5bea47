"""The fenced blocks of the written pages, in order, with what stands before them.

``<!-- not run: why -->`` above a block keeps it from being run; ``<!-- printed -->`` says that its
lines are printed by the block before it.

Knows nothing about: what is done with a block.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [
    *(ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md"),
    *sorted(DOCS.rglob("*.md")),
]
BLOCK = re.compile(
    r"(?:^<!-- (?P<note>[^\n]*?) -->\n)?"
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    place: str
    """Page and line, for messages."""
    language: str
    """What stands behind the fence."""
    text: str
    """Its lines."""
    note: str
    """The comment above it, if there is one."""

    @property
    def is_run(self) -> bool:
        """Whether it is to be run."""
        return not self.note.startswith("not run: ")

    @property
    def is_printed(self) -> bool:
        """Whether the block before it prints its lines."""
        return self.note == "printed"


def blocks_of(page: Path) -> Iterator[Block]:
    """The blocks of a page."""
    text = page.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        place = f"{page.relative_to(ROOT)}:{line}"
        yield Block(place, match["language"], match["text"], match["note"] or "")


def name_of(page: Path) -> str:
    """How a page is called in the names of tests."""
    return str(page.relative_to(ROOT))
