"""The figures as a page of Markdown.

Knows nothing about: how they were measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.speed.figures import Figure

HEAD = """# Speed

Measured by `make bench`, each section in a process of its own, by the median of several runs. A
ratio above 1 says how many times faster than the named rival, which ran in the same process; beside
a measured rate it is the share of that rate which is reached.
"""


def markdown(results: Mapping[str, Any]) -> str:
    """All sections, each with the machine that it was measured on."""
    return "\n".join([HEAD, *(line for found in results.values() for line in _section(found))])


def _section(found: Mapping[str, Any]) -> Iterator[str]:
    figures = [Figure(**figure) for figure in found["figures"]]
    on = found["machine"]
    yield f"## {figures[0].section[:1].upper()}{figures[0].section[1:]}\n"
    yield (
        f"{on['processor']}, {on['threads']} threads; products of {on['gflops']:.0f} GFLOP/s and "
        f"{on['gbytes']:.0f} GB/s of memory measured; PyTorch {on['torch']}, "
        f"clusterseq {on['clusterseq']}.\n"
    )
    yield "| | measured | beside | ratio | asked for | |"
    yield "|---|--:|---|--:|---|---|"
    for figure in figures:
        met = "" if figure.met is None else "met" if figure.met else "**not met**"
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        cells = (figure.name, f"{figure.value:,.4g} {figure.unit}", figure.rival, ratio)
        yield f"| {' | '.join((*cells, figure.target, met))} |"
    yield ""
    if figures[0].section == "growth":
        yield "![Seconds and memory over items and people](growth.svg)\n"
