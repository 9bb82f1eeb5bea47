"""What there is to say of a bench: its headline, and the sections of its report.

Knows nothing about: how figures came about, pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from clusterseq.bench.own import OWN
from clusterseq.bench.plot import charts_of, usual_boards, without_ablations
from clusterseq.bench.report import COST_LEGEND, LEGEND, about, accuracy, costs, failures
from clusterseq.bench.summary import Board, Entry, Summary
from clusterseq.report import charts
from clusterseq.report.section import Section, Table


def headline(summary: Summary) -> list[tuple[str, str]]:
    """The figures that come first."""
    entries = [entry for board in summary.boards for entry in board.entries]
    facts = [
        ("data sets", str(len({board.dataset for board in summary.boards}))),
        ("models", str(len({entry.model for entry in entries}))),
        ("seeds", str(len({seed for entry in entries for seed in entry.seeds}))),
    ]
    against = [times for board in usual_boards(summary.boards) if (times := _times(board))]
    if against:
        facts.append(("× the best other model", f"{min(against):.2f} – {max(against):.2f}"))
    return facts


def sections(summary: Summary) -> Iterator[Section]:
    """What there is to say, in the order of a reader's questions."""
    boards, drawn = usual_boards(summary.boards), charts_of(summary)
    yield from map(_accuracy, boards)
    if chart := drawn.get("accuracy-time"):
        yield Section(
            "Accuracy against training time",
            "A point for each model, up and left is better; of ours the line is the interval.",
            chart,
        )
    if chart := drawn.get("k-curve"):
        yield Section(
            "How many items it takes",
            "The people and what they did next change with K, so compare models at one K.",
            chart,
            _over_k(summary.boards),
        )
    if boards:
        yield _costs(boards)
    if summary.failed:
        rows = [[line] for line in failures(summary)]
        yield Section(
            "Failed",
            "The same bench, run again, tries these once more.",
            None,
            Table([""], rows, prose=True),
        )


def _accuracy(board: Board) -> Section:
    rival, times = _best_other(board), _times(board)
    shown = without_ablations(board).entries or board.entries
    sees = f"{about(board)} "
    if (ours := _own(board)) and rival and times:
        p = f", p {rival.test.p_value:.2g}" if rival.test else ""
        sees += (
            f"{OWN} reaches an MRR of {ours.full['mrr'].mean:.4f}, {times:.2f} times that of "
            f"{rival.model}, the best of the others{p}. "
        )
    return Section(
        board.title,
        sees + LEGEND,
        charts.accuracy({entry.model: _figures(entry) for entry in reversed(shown)}, OWN),
        _table([accuracy(entry) for entry in board.entries]),
    )


def _costs(boards: Sequence[Board]) -> Section:
    rows = [{"data": board.title, **costs(entry)} for board in boards for entry in board.entries]
    return Section("What models cost", COST_LEGEND, None, _table(rows))


def _over_k(boards: Sequence[Board]) -> Table:
    rows = [
        [board.title, f"{entry.users:,}", entry.model, f"{entry.full['mrr'].mean:.4f}"]
        for board in boards
        for entry in (_best_other(board), _own(board))
        if entry
    ]
    return Table(["data", "people", "best other model, and ours", "MRR"], rows)


def _own(board: Board) -> Entry | None:
    return next((entry for entry in board.entries if entry.model == OWN), None)


def _best_other(board: Board) -> Entry | None:
    """The best of what isn't ours, nor a variant of it."""
    return next((entry for entry in board.entries if entry.group != "ours"), None)


def _times(board: Board) -> float | None:
    rival = _best_other(board)
    return 1 / rival.ratio if rival and rival.ratio else None


def _figures(entry: Entry) -> dict[str, Any]:
    estimates = {"full": entry.full["mrr"], "sampled": entry.sampled["mrr"]}
    return {
        ranking: {"mrr": estimate.mean, "mrr_ci95": (estimate.low, estimate.high)}
        for ranking, estimate in estimates.items()
    }


def _table(rows: Sequence[Mapping[str, str]]) -> Table:
    return Table(list(rows[0]), [list(row.values()) for row in rows])
