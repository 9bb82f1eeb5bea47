"""How the code is cut: lines of files and functions, docstrings, annotations, tests beside source.

    python -m benchmarks.shape

Lines of a function are those of its body without its docstring; lines of a file are all of them.

Knows nothing about: what the code does.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

Function = ast.FunctionDef | ast.AsyncFunctionDef
ROOT = Path(__file__).parents[1]


def functions(path: Path) -> Iterator[Function]:
    """Every function and method of a file, inner ones too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, Function):
            yield node


def body_lines(function: Function) -> int:
    """Lines of a function's body, its docstring left out.

    >>> tree = ast.parse('def f():\\n    "Says."\\n    a = (\\n        1)\\n    return a\\n')
    >>> body_lines(tree.body[0])
    3
    """
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def annotated(function: Function) -> tuple[int, int]:
    """How many arguments say their type, and how many there are, but for self and cls."""
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    named = [one for one in every if one and one.arg not in ("self", "cls")]
    return sum(one.annotation is not None for one in named), len(named)


def spread(values: Sequence[int]) -> str:
    """Median, nine in ten at most, and most.

    >>> spread([1, 2, 3, 4, 100])
    '3 / 62 / 100'
    """
    middle, ninth = np.percentile(values, [50, 90])
    return f"{middle:.0f} / {ninth:.0f} / {max(values)}"


def main() -> None:
    """Print one line per figure."""
    files = sorted((ROOT / "src").rglob("*.py"))
    sizes = [len(path.read_text(encoding="utf-8").splitlines()) for path in files]
    found = [one for path in files for one in functions(path)]
    public = [one for one in found if not one.name.startswith("_")]
    said, every = (sum(column) for column in zip(*map(annotated, found), strict=True))
    tests = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py")]
    lines = sum(len(text.splitlines()) for text in tests)
    documented = sum(ast.get_docstring(one) is not None for one in public) / len(public)
    print(f"files                       {len(files)}")
    print(f"lines of source             {sum(sizes):,}")
    print(f"lines of a file             {spread(sizes)} (median, nine in ten, most)")
    print(f"lines of a function's body  {spread([body_lines(one) for one in found])}")
    print(f"public functions documented {documented:.0%}")
    print(f"arguments annotated         {said / every:.1%}")
    print(f"lines of tests              {lines:,} ({lines / sum(sizes):.2f} of the source)")


if __name__ == "__main__":
    main()
