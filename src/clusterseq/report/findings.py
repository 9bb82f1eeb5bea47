"""All that a report says, gathered from a checkpoint and, where they are given, its events.

Knows nothing about: drawing, pages, terminals.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from clusterseq.data.dataset import Data
from clusterseq.errors import DataError
from clusterseq.learning.checkpoint import LOG, Checkpoint
from clusterseq.machine.progress import StageProgress
from clusterseq.model.ranker import Ranker
from clusterseq.overrides import changed
from clusterseq.reading.times import iso
from clusterseq.report.adaptation import AtStep, adaptation_curve
from clusterseq.report.by_length import AtLength, by_length
from clusterseq.report.clusters import Cluster, Placed, clusters_of, place
from clusterseq.report.data_profile import DataProfile, Popularity, popularity, profile
from clusterseq.report.latency import Latency, latency
from clusterseq.using.atlas import Atlas
from clusterseq.using.comparison import CLUSTERSEQ, simple_models
from clusterseq.using.evaluation import split_of_training


@dataclass(frozen=True)
class Findings:
    """Plain figures, by section; what needs the events is None or empty without them."""

    name: str
    """Of the model's directory."""
    card: dict[str, Any]
    """What the model is and comes from."""
    popularity: Popularity
    training: list[dict[str, Any]]
    """The epochs, as training logged them."""
    accuracy: dict[str, dict[str, Any]]
    """The test's figures of each model, ours last; empty if nobody was judged."""
    clusters: list[Cluster]
    latency: Latency
    data: DataProfile | None = None
    by_length: list[AtLength] = dataclasses.field(default_factory=list)
    adaptation: list[AtStep] = dataclasses.field(default_factory=list)
    placed: Placed | None = None

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON holds it."""
        return dataclasses.asdict(self)


def find_out(
    directory: Path, checkpoint: Checkpoint, events: Data | None, progress: StageProgress
) -> Findings:
    """Gather everything; with events the new people of the model's own split are judged.

    Raises:
        DataError: the events are not those that the model was trained on.
    """
    ranker, atlas = Ranker(checkpoint.model), Atlas(checkpoint.model, checkpoint.item_counts)
    progress("latency", 0, 1)
    findings = Findings(
        name=directory.resolve().name,
        card=card_of(checkpoint),
        popularity=popularity(checkpoint.item_counts),
        training=_epochs(directory / LOG),
        accuracy=_accuracy(checkpoint.metrics),
        clusters=clusters_of(checkpoint, atlas),
        latency=latency(ranker),
    )
    progress("latency", 1, 1)
    if events is None:
        return findings
    split = split_of_training(checkpoint, events)
    people, others = split.test, simple_models(split.known, len(split.items))
    at_lengths = by_length(
        {**others, CLUSTERSEQ: ranker},
        people,
        checkpoint.item_counts,
        partial(progress, "accuracy by length"),
    )
    k = int(checkpoint.metrics.get("test", {}).get("k", 3))
    return dataclasses.replace(
        findings,
        data=profile(events, split),
        by_length=at_lengths,
        adaptation=adaptation_curve(ranker, people, k, partial(progress, "adaptation")),
        placed=place(atlas, split.known) if findings.clusters else None,
    )


def card_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """What is worth knowing before one trusts a model: a model card."""
    origin, model = checkpoint.provenance, checkpoint.config.model
    return {
        "version": checkpoint.content[:12],
        "inner_steps": model.steps_taken,
        "items": len(checkpoint.items),
        "known_users": origin.known_users,
        "events": origin.events,
        "updates": len(origin.updated_by),
        "parameters": sum(value.numel() for value in checkpoint.model.parameters()),
        "split": origin.split,
        "seed": origin.seed,
        "cutoff": None if origin.cutoff is None else iso(origin.cutoff),
        "coverage": origin.coverage,
        "data": origin.fingerprint,
        "changed_options": changed(checkpoint.config),
        "versions": dict(checkpoint.versions),
    }


def _accuracy(metrics: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    if "test" not in metrics:
        return {}
    return {**metrics.get("baselines", {}), CLUSTERSEQ: metrics["test"]}


def _epochs(log: Path) -> list[dict[str, Any]]:
    if not log.exists():
        return []
    try:
        return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    except ValueError as error:
        raise DataError(f"{log}: not JSON lines ({error}); move the file away") from error
