"""The summary as files and as tables: JSON, CSV, Markdown, and columns for a terminal.

Knows nothing about: how figures came about, charts.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.table import Table

from clusterseq.bench.own import OWN
from clusterseq.bench.summary import COSTS, Board, Entry, Estimate, Summary
from clusterseq.judging.evaluate import GROUPS, RANKINGS
from clusterseq.machine.files import write_whole
from clusterseq.machine.manifest import versions
from clusterseq.markdown import markdown_table
from clusterseq.showing.figures import NONE, figure

LEGEND = (
    "Full-catalogue MRR with its 95 % interval over people, mean over seeds; HR@10, NDCG@10; "
    "sampled: MRR of the target against 100 items; minor, major: MRR of the third of people with "
    f"the least and the most popular items shown; ratio: MRR over {OWN}'s; p: paired test against "
    f"{OWN} over distinct people."
)
COST_LEGEND = (
    "Train: seconds to fit the setting that was chosen; tuning: to fit and judge the whole grid; "
    "newcomer: median milliseconds to score the catalogue for one person at a time; parameters: "
    "numbers that gradients have learnt; peak: MiB of the whole process, start of them before it "
    "has fitted anything. Times compare within one machine."
)


def write_reports(directory: Path, summary: Summary) -> list[Path]:
    """Write summary.json, summary.md and summary.csv; returns where."""
    contents = {"json": as_json(summary), "md": as_markdown(summary), "csv": as_csv(summary)}
    paths = [directory / f"summary.{ending}" for ending in contents]
    for path, text in zip(paths, contents.values(), strict=True):
        write_whole(path, text.encode())
    return paths


def as_dict(summary: Summary) -> dict[str, Any]:
    """The summary with the versions of what has computed it."""
    return {"versions": versions(), **summary.to_dict()}


def as_json(summary: Summary) -> str:
    """The whole summary."""
    return json.dumps(as_dict(summary), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(summary: Summary) -> str:
    """A line per model, data set and K, with every figure."""
    text = io.StringIO()
    lines = [_flat(board, entry) for board in summary.boards for entry in board.entries]
    writer = csv.DictWriter(text, list(lines[0]) if lines else [], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def as_markdown(summary: Summary) -> str:
    """Two tables for each data set and K, and what has failed."""
    parts = ["# Bench\n", f"{LEGEND}\n", f"{COST_LEGEND}\n"]
    for board in summary.boards:
        parts += [f"## {board.title}\n", f"{about(board)}\n"]
        parts += [_markdown([accuracy(e) for e in board.entries]), ""]
        parts += [_markdown([costs(e) for e in board.entries]), ""]
    if summary.failed:
        parts.append("## Failed\n")
        parts += [f"- {line}" for line in failures(summary)]
    return "\n".join(parts).rstrip("\n") + "\n"


def tables(summary: Summary) -> Iterator[Table]:
    """The same two tables for a screen."""
    for board in summary.boards:
        for title, columns in ((board.title, accuracy), ("", costs)):
            table = Table(title=title or None, title_justify="left", title_style="bold")
            rows = [(entry, columns(entry)) for entry in board.entries]
            for name in rows[0][1]:
                table.add_column(name, justify="left" if name == "model" else "right")
            for entry, cells in rows:
                table.add_row(*cells.values(), style="bold" if entry.model == OWN else None)
            yield table


def about(board: Board) -> str:
    """Who was judged and from what."""
    users = max(entry.users for entry in board.entries)
    return (
        f"{users:,} people never seen, {board.known:,.0f} known ones and {board.items:,.0f} items; "
        f"{board.coverage:.1%} of the newcomers' events in the catalogue."
    )


def accuracy(entry: Entry) -> dict[str, str]:
    """How good a model is."""
    minor, major = map(entry.group_mrr, GROUPS)
    return {
        "model": entry.model,
        "seeds": str(len(entry.seeds)),
        "MRR": str(entry.full["mrr"]),
        "HR@10": f"{entry.full['hr@10'].mean:.4f}",
        "NDCG@10": f"{entry.full['ndcg@10'].mean:.4f}",
        "sampled": f"{entry.sampled['mrr'].mean:.4f}",
        "minor": figure(None if minor is None else minor.mean),
        "major": figure(None if major is None else major.mean),
        "ratio": figure(entry.ratio, 2),
        "p": NONE if entry.test is None else f"{entry.test.p_value:.2g}",
    }


def costs(entry: Entry) -> dict[str, str]:
    """What a model costs."""
    values = entry.costs
    parameters = values["parameters"]
    return {
        "model": entry.model,
        "train s": _time(values["train_s"]),
        "tuning s": _time(values["tuning_s"]),
        "newcomer ms": _time(values["newcomer_ms"]),
        "parameters": figure(parameters, 0),
        "peak MiB": figure(values["peak_mb"], 0),
        "start MiB": figure(values["start_mb"], 0),
    }


def failures(summary: Summary) -> Iterator[str]:
    """A line for every result that failed."""
    for row in summary.failed:
        where = f"{row['dataset']} ({row['split']}), seed {row['seed']}, K = {row['k']}"
        yield f"{row['model']} on {where}: {row['error']}"


def _flat(board: Board, entry: Entry) -> dict[str, Any]:
    line: dict[str, Any] = {
        "dataset": board.dataset,
        "split": board.split,
        "k": board.k,
        "model": entry.model,
        "group": entry.group,
        "seeds": " ".join(map(str, entry.seeds)),
        "users": entry.users,
    }
    for ranking in RANKINGS:
        for metric, estimate in getattr(entry, ranking).items():
            line |= _columns(f"{ranking}_{metric}", estimate)
    for group in GROUPS:
        line |= _columns(f"{group}_mrr", entry.group_mrr(group))
    test = entry.test
    line |= {
        "ratio": entry.ratio,
        "difference": test and test.difference,
        "difference_low": test and test.ci95[0],
        "difference_high": test and test.ci95[1],
        "p_value": test and test.p_value,
    }
    return {**line, **{name: entry.costs[name] for name in COSTS}}


def _columns(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    mean, low, high = (None,) * 3 if estimate is None else dataclasses.astuple(estimate)
    return {name: mean, f"{name}_low": low, f"{name}_high": high}


def _markdown(rows: list[dict[str, str]]) -> str:
    return markdown_table(list(rows[0]), [[*row.values()] for row in rows])


def _time(value: float | None) -> str:
    """Two digits where they say something."""
    return figure(value, 2 if value is not None and value < 10 else 0)
