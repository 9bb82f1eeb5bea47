"""A model beside the simple ones it has to beat, on the same new people.

Knows nothing about: training, files, terminals.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Int64, Integer

from clusterseq.baselines.popularity import Popularity
from clusterseq.baselines.session_knn import SessionKNN
from clusterseq.data.histories import Histories
from clusterseq.data.sequences import Sequences
from clusterseq.judging.evaluate import RANKINGS, Evaluation, Members, evaluate
from clusterseq.judging.metrics import METRICS, PairedTest, paired_test
from clusterseq.judging.scorer import Scorer
from clusterseq.machine.progress import Progress
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.ranker import Ranker

CLUSTERSEQ = "ClusterSeq"
BEFORE = "before the update"
"""What a comparison calls the model that was updated."""
PEOPLE_AT_ONCE = 1_024


@dataclass(frozen=True, eq=False)
class Comparison:
    """What several models reach on one set of people."""

    split: str
    """How the people were chosen: temporal, random or all-new."""
    coverage: float
    """Share of their events whose item the model knows."""
    evaluations: Mapping[str, Evaluation]
    """One evaluation per model, ClusterSeq last."""
    keep_seen: bool = False
    """Whether items that were touched before compete, too."""

    @property
    def own(self) -> Evaluation:
        """ClusterSeq's evaluation."""
        return self.evaluations[CLUSTERSEQ]

    @cached_property
    def figures(self) -> Mapping[str, dict[str, Any]]:
        """Every model's metrics with their intervals, which take a moment to draw."""
        return {name: evaluation.to_dict() for name, evaluation in self.evaluations.items()}

    def to_dict(self) -> dict[str, Any]:
        """ClusterSeq's figures, in the layout that scripts rely on."""
        figures = self.figures[CLUSTERSEQ]
        head = {"k": figures["k"], "split": self.split, "users": figures["users"]}
        rest = {name: figures[name] for name in (*RANKINGS, "groups")}
        return {**head, "coverage": self.coverage, "keep_seen": self.keep_seen, **rest}

    def metrics(self) -> dict[str, Any]:
        """What a checkpoint keeps: all of it, and the other models' figures by name."""
        others = {name: self.figures[name] for name in self.figures if name != CLUSTERSEQ}
        return {"test": self.to_dict(), "baselines": others}

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every figure of every model as one row of a table."""
        for model, figures in self.figures.items():
            for group, part in {"all": figures, **figures["groups"]}.items():
                for ranking in RANKINGS:
                    for metric in METRICS:
                        low, high = part[ranking][f"{metric}_ci95"] or (None, None)
                        yield {
                            "model": model,
                            "ranking": ranking,
                            "group": group,
                            "users": part["users"],
                            "metric": metric,
                            "value": part[ranking][metric],
                            "low": low,
                            "high": high,
                        }

    def against(self, other: str) -> PairedTest:
        """ClusterSeq's full-catalogue MRR less another's, tested over people."""
        return paired_test(self.own.full_ranks, self.evaluations[other].full_ranks)


def compare(
    models: Mapping[str, Scorer],
    sequences: Sequences,
    *,
    split: str,
    coverage: float,
    item_counts: Integer[np.ndarray, " items"],
    k: int = 3,
    keep_seen: bool = False,
    progress: Progress | None = None,
) -> Comparison:
    """Evaluate every model on the same people, also by the clusters that ClusterSeq has learnt.

    With ``keep_seen`` the support items compete, too.

    Raises:
        DataError: nobody has more than ``k`` events.
    """
    evaluations = {
        name: evaluate(
            model, sequences, item_counts=item_counts, k=k, keep_seen=keep_seen, progress=progress
        )
        for name, model in models.items()
    }
    ranker = models.get(CLUSTERSEQ)
    if isinstance(ranker, Ranker) and ranker.model.clusters is not None:
        learnt = cluster_groups(ranker.model, sequences.select(evaluations[CLUSTERSEQ].users), k)
        evaluations = {
            name: dataclasses.replace(evaluation, groups={**evaluation.groups, **learnt})
            for name, evaluation in evaluations.items()
        }
    return Comparison(split, coverage, evaluations, keep_seen)


def cluster_groups(model: ClusterSeq, people: Sequences, k: int) -> dict[str, Members]:
    """Which people the model, shown their first ``k`` items, puts in each of its clusters."""
    nearest, clusters = nearest_clusters(model, people, slice(k)), range(model.config.clusters)
    return {f"cluster {cluster}": np.flatnonzero(nearest == cluster) for cluster in clusters}


def nearest_clusters(
    model: ClusterSeq, people: Sequences, part: slice
) -> Int64[np.ndarray, " people"]:
    """The cluster that each person belongs most to, by that part of their items."""
    nearest = np.empty(len(people), dtype=np.int64)
    for start in range(0, len(people), PEOPLE_AT_ONCE):
        rows = range(start, min(start + PEOPLE_AT_ONCE, len(people)))
        shares = model.assign(Histories.from_lists(people[row][part] for row in rows))
        nearest[rows.start : rows.stop] = shares.argmax(dim=1).numpy(force=True)
    return nearest


def simple_models(known: Sequences, n_items: int) -> dict[str, Scorer]:
    """The baselines, fitted to known people."""
    return {
        "popularity": Popularity.fit(known, n_items),
        "session kNN": SessionKNN.fit(known, n_items),
    }
