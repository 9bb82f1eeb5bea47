"""The outcome of a study as Markdown: for each data set a row per model, in the study's order.

Knows nothing about: charts, how figures came about.
"""

from __future__ import annotations

from collections.abc import Iterator

from clusterseq.bench.own import OWN
from clusterseq.bench.study import Study
from clusterseq.bench.summary import Board, Entry, Summary
from clusterseq.judging.evaluate import GROUPS
from clusterseq.markdown import markdown_table
from clusterseq.showing.figures import NONE, figure

LEGEND = (
    "MRR in the full catalogue with its 95 % interval over people; minor, major: of the third of "
    "people with the least and the most popular items shown; sampled: among 100 items; times: "
    f"MRR over that of {OWN}'s default, with the paired test's p."
)


def markdown(study: Study, summary: Summary, command: str) -> str:
    """The study's section of a page."""
    parts = [f"## {study.title}\n", f"{study.question}\n"]
    for board in summary.boards:
        parts += [f"**{board.title}**, {_about(board)}\n", _table(study, board), ""]
    parts += [f"![{study.title}]({study.name}.svg)\n"]
    if study.reading:
        parts += [f"{study.reading.strip()}\n"]
    return "\n".join([*parts, f"`{command}`\n"])


def rows(study: Study, board: Board) -> Iterator[tuple[str, Entry]]:
    """The label and the figures of each model that is done, in the study's order."""
    by_name = {entry.model: entry for entry in board.entries}
    names = study.entries
    yield from ((label, by_name[name]) for label, name in names.items() if name in by_name)


def _about(board: Board) -> str:
    users = max(entry.users for entry in board.entries)
    seeds = max(len(entry.seeds) for entry in board.entries)
    return f"{users:,} people never seen, {seeds} seed{'s' if seeds > 1 else ''}"


def _table(study: Study, board: Board) -> str:
    head = [study.axis, "MRR", "minor", "major", "HR@10", "sampled", "times", "p", "training s"]
    lines = []
    for label, entry in rows(study, board):
        lines.append(
            [
                label,
                str(entry.full["mrr"]),
                *(figure(None if m is None else m.mean) for m in map(entry.group_mrr, GROUPS)),
                f"{entry.full['hr@10'].mean:.4f}",
                f"{entry.sampled['mrr'].mean:.4f}",
                figure(entry.ratio, 3),
                NONE if entry.test is None else f"{entry.test.p_value:.2g}",
                figure(entry.costs["train_s"], 0),
            ]
        )
    return markdown_table(head, lines)
