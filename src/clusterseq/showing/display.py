"""How results look on a screen, and as rows of a CSV file.

Knows nothing about: how results come about, progress.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from rich.table import Table

from clusterseq.judging.evaluate import GROUPS, NEGATIVES, RANKINGS
from clusterseq.learning.checkpoint import Checkpoint
from clusterseq.overrides import changed
from clusterseq.reading.times import iso
from clusterseq.showing.figures import METRICS, figure, judged
from clusterseq.using.comparison import CLUSTERSEQ, Comparison
from clusterseq.using.demo import Newcomer
from clusterseq.using.recommendations import Recommendations, Why

TITLES = {
    "full": "Full catalogue",
    "sampled": f"Sampled: the target against {NEGATIVES} items, or as many as there are",
}


def comparison_tables(comparison: Comparison) -> Iterator[Table]:
    """One table per ranking, one row per model; narrow enough for 80 columns."""
    for ranking in RANKINGS:
        table = Table(title=TITLES[ranking], title_justify="left", title_style="bold")
        table.add_column("")
        for name in (*(column.upper() for column in METRICS), *GROUPS):
            table.add_column(name, justify="right")
        for model, figures in comparison.figures.items():
            cells = [judged(figures[ranking], "mrr")]
            cells += [figure(figures[ranking][name]) for name in METRICS[1:]]
            cells += [figure(figures["groups"][name][ranking]["mrr"]) for name in GROUPS]
            table.add_row(model, *cells, style="bold" if model == CLUSTERSEQ else None)
        yield table


def comparison_lines(comparison: Comparison) -> Iterator[str]:
    """Who was judged, what the columns mean, and how sure the differences are."""
    evaluation = comparison.own
    yield (
        f"{len(evaluation.users):,} people the model has never seen ({comparison.split}), "
        f"K = {evaluation.k} items of each shown, {comparison.coverage:.1%} of their events in the "
        "catalogue" + ("; what was shown competes, too" if comparison.keep_seen else "")
    )
    yield (
        "[…] are 95 % intervals; minor and major: MRR of the third of people with the least and "
        "the most popular items shown"
    )
    for other in comparison.evaluations:
        if other != CLUSTERSEQ:
            test = comparison.against(other)
            yield (
                f"{CLUSTERSEQ} against {other}: full-catalogue MRR {test.difference:+.4f} "
                f"({test.ci95[0]:+.4f} to {test.ci95[1]:+.4f}, p = {test.p_value:.2g})"
            )


HOW_TO_READ = (
    "Because of: how many times as likely an item becomes by one that was touched. Made of: what "
    "the score is the sum of, its largest parts. --json has all of both."
)
REASONS = 2
"""Items of the history that are named as reasons, and parts of a score that are."""


def recommendations_table(found: Recommendations) -> Table:
    """Rank, item, title if there are titles, score, and the reasons if they were asked for."""
    titled = any(entry.title is not None for entry in found)
    explained = any(entry.why is not None for entry in found)
    table = Table()
    table.add_column("", justify="right")
    table.add_column("item")
    if titled:
        table.add_column("title")
    table.add_column("score", justify="right")
    for name in ("because of", "made of") if explained else ():
        table.add_column(name)
    for rank, entry in enumerate(found, start=1):
        title = [entry.title or ""] if titled else []
        reasons = [] if entry.why is None else _reasons(entry.why)
        table.add_row(str(rank), str(entry.item), *title, f"{entry.score:.3f}", *reasons)
    return table


def _reasons(why: Why) -> list[str]:
    """The items that raise it most, and the largest parts of the score."""
    raising = sorted((one for one in why.history if one.gain > 0), key=lambda one: -one.gain)
    parts = sorted(why.parts.items(), key=lambda part: -abs(part[1]))
    return [
        ", ".join(f"{one.item} ×{math.exp(one.gain):.1f}" for one in raising[:REASONS]),
        ", ".join(f"{name} {value:+.2f}" for name, value in parts[:REASONS]),
    ]


def newcomer_table(newcomer: Newcomer) -> Table:
    """What somebody touched, and what is recommended; a star marks what they touched next."""
    table = Table(title=f"A newcomer ({newcomer.group})", title_justify="left")
    table.add_column("touched")
    table.add_column("recommended")
    recommended = [entry.title or str(entry.item) for entry in newcomer.recommended]
    left = [*newcomer.touched, "", f"next: {newcomer.following}"]
    for first, second in zip_longest(left, recommended, fillvalue=""):
        table.add_row(first, second + (" ★" if second == newcomer.following else ""))
    return table


def card(checkpoint: Checkpoint) -> dict[str, Any]:
    """All there is to know of a checkpoint but its numbers."""
    origin = checkpoint.provenance
    parameters = sum(parameter.numel() for parameter in checkpoint.model.parameters())
    return {
        "kind": "checkpoint",
        "items": len(checkpoint.items),
        "titled": checkpoint.titles is not None,
        "parameters": parameters,
        "provenance": {
            **vars(origin),
            "cutoff": None if origin.cutoff is None else iso(origin.cutoff),
        },
        "metrics": dict(checkpoint.metrics),
        "config": dataclasses.asdict(checkpoint.config),
    }


def card_table(checkpoint: Checkpoint) -> Table:
    """The card as it fits a screen; of the options, those that aren't the default."""
    values, origin = card(checkpoint), checkpoint.provenance
    table = Table(show_header=False, box=None)
    table.add_row("model", f"{values['items']:,} items, {values['parameters']:,} parameters")
    cutoff, updates = "", len(origin.updated_by)
    if origin.cutoff is not None and not updates:  # what an update adds is later
        cutoff = f" up to {iso(origin.cutoff)}"
    table.add_row(
        "trained on", f"{origin.events:,} events of {origin.known_users:,} people{cutoff}"
    )
    if updates:
        table.add_row("updates", f"{updates:,} since, whose events are among these")
    table.add_row("split", f"{origin.split}, seed {origin.seed}, coverage {origin.coverage:.1%}")
    table.add_row("data", f"fingerprint {origin.fingerprint[:16]}…")
    if sizes := checkpoint.metrics.get("cluster_sizes"):
        table.add_row("clusters", f"of {', '.join(map(str, sizes))} people")
    for name, figures in _judgements(checkpoint.metrics):
        for ranking in RANKINGS:
            table.add_row(name, f"{ranking}: {_metrics_line(figures[ranking])}")
    for option, value in changed(checkpoint.config).items():
        table.add_row("option", f"{option} = {value}")
    return table


def _judgements(metrics: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if "test" in metrics:
        yield f"test, K = {metrics['test']['k']}", metrics["test"]
        yield from metrics.get("baselines", {}).items()


def _metrics_line(figures: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.upper()} {figure(figures[name])}" for name in METRICS)
