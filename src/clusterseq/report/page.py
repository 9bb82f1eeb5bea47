"""A report as one HTML file that needs nothing beside it, and as Markdown.

Knows nothing about: what the sections say.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import TypeAlias

from clusterseq.markdown import markdown_table
from clusterseq.report.section import Section, Table
from clusterseq.showing.drawing import rendered

Facts: TypeAlias = Sequence[tuple[str, str]]
"""Figures that come first, each by what it is of."""
SHORT = 4
"""Rows of a table that stands open; longer ones are folded."""


def page(name: str, facts: Facts, sections: Sequence[Section]) -> str:
    """The whole HTML file."""
    style = resources.files("clusterseq.report").joinpath("style.css").read_text("utf-8")
    name = html.escape(name)
    links = "".join(
        f'<a href="#{_anchor(section)}">{html.escape(section.title)}</a>' for section in sections
    )
    body = "".join(_section(section) for section in sections)
    figures = "".join(
        f"<div><dt>{html.escape(term)}</dt><dd>{html.escape(value)}</dd></div>"
        for term, value in facts
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}: report</title><style>{style}</style></head><body>"
        f"<header><p>clusterseq report</p><h1>{name}</h1><dl>{figures}</dl></header>"
        f"<nav>{links}</nav><main>{body}</main></body></html>\n"
    )


def markdown(name: str, facts: Facts, sections: Iterable[Section]) -> str:
    """The same without charts."""
    head = ", ".join(f"{term} {value}" for term, value in facts)
    parts = [f"# {name}\n", head + "\n"]
    for section in sections:
        parts += [f"## {section.title}\n", section.sees + "\n"]
        if (table := section.table) is not None:
            parts.append(markdown_table(table.columns, table.rows, prose=table.prose) + "\n")
    return "\n".join(parts)


def _section(section: Section) -> str:
    chart = "" if section.chart is None else f"<figure>{_inline(section)}</figure>"
    table = "" if section.table is None else _table(section.table, folded=bool(chart))
    return (
        f'<section id="{_anchor(section)}"><h2>{html.escape(section.title)}</h2>'
        f"<p>{html.escape(section.sees)}</p>{chart}{table}</section>"
    )


def _inline(section: Section) -> str:
    """The chart as it may stand in a page: no prologue, ids of its own, as wide as fits."""
    assert section.chart is not None, "only a chart is drawn"
    svg = rendered(section.chart, "svg").decode()
    svg = svg[svg.index("<svg") :]
    prefix = _anchor(section)
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r"(url\(|xlink:href=\")#", rf"\g<1>#{prefix}-", svg)
    svg = re.sub(r'<svg([^>]*?) height="[^"]*"', r"<svg\1", svg, count=1)
    svg = re.sub(r'<svg([^>]*?) width="([^"]*)pt"', r'<svg\1 data-width="\2"', svg, count=1)
    label = html.escape(f"{section.title}: {section.sees}", quote=True)
    return svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


def _table(table: Table, *, folded: bool) -> str:
    head = "".join(f'<th scope="col">{html.escape(column)}</th>' for column in table.columns)
    rows = "".join(
        f'<tr><th scope="row">{html.escape(row[0])}</th>'
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in table.rows
    )
    head = f"<thead><tr>{head}</tr></thead>" if any(table.columns) else ""
    kind = ' class="prose"' if table.prose else ""
    markup = f'<div class="wide"><table{kind}>{head}<tbody>{rows}</tbody></table></div>'
    if not folded or len(table.rows) <= SHORT:
        return markup
    return f"<details><summary>The figures</summary>{markup}</details>"


def _anchor(section: Section) -> str:
    return re.sub(r"\W+", "-", section.title.lower())
