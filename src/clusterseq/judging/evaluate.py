"""How well a scorer ranks the next item of people it never saw: the protocol's two rankings.

A person counts if more than k events are left: the first k are the support, the next is the target.
*Full*: the target against every training item but the support items (``keep_seen`` keeps them). The
target is always a candidate, also where it is itself one of the support items. *Sampled*: the
target against 100 uniform negatives that the person touches nowhere in the sequence.

Knows nothing about: raw ids, splits, how scores come about, terminals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int64, Integer
from torch import Tensor

from clusterseq.checks import whole
from clusterseq.data.histories import Histories
from clusterseq.data.sequences import Sequences
from clusterseq.errors import ConfigError, DataError, TrainingError
from clusterseq.judging.metrics import (
    METRICS,
    Ranks,
    intervals_of_ranks,
    metrics_of_ranks,
    rank_of_target,
)
from clusterseq.judging.scorer import Scorer, require_scorer, require_scores
from clusterseq.machine.progress import Progress

NEGATIVES = 100
SCORES_AT_ONCE = 8_000_000
"""Bound on people × items in memory; with single precision 32 MB."""

Members: TypeAlias = Int64[np.ndarray, " members"]

RANKINGS = ("full", "sampled")
"""In the whole catalogue, and among a draw of it."""
GROUPS = ("minor", "major")
"""Of ``popularity_groups``."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """One rank per person and ranking, and who belongs to which group."""

    k: int
    """Number of support items."""
    users: Int64[np.ndarray, " users"]
    """Index of each person in the sequences that were evaluated."""
    full_ranks: Ranks
    """Rank of each person's target in the full catalogue."""
    sampled_ranks: Ranks
    """Rank of each person's target among the sampled negatives."""
    groups: Mapping[str, Members]
    """Places in the arrays above, by group."""

    def to_dict(self) -> dict[str, Any]:
        """Metrics with their intervals, as JSON holds them; null where a group has nobody."""
        return {
            "k": self.k,
            **self._summary(np.arange(len(self.users))),
            "groups": {name: self._summary(members) for name, members in self.groups.items()},
        }

    def _summary(self, members: Members) -> dict[str, Any]:
        return {
            "users": len(members),
            "full": _summary_of_ranks(self.full_ranks[members]),
            "sampled": _summary_of_ranks(self.sampled_ranks[members]),
        }


def people_to_judge(sequences: Sequences, k: int) -> Members:
    """Who has an item after the first ``k``, to be told from all others.

    Raises:
        DataError: nobody has.
    """
    users = np.flatnonzero(sequences.lengths > k)
    if len(users):
        return users
    message = f"none of {len(sequences)} people has more than k = {k} events; lower k"
    if not sequences.lengths.any():
        message = (
            f"none of {len(sequences)} people has touched an item of the catalogue; are the items "
            "called as in the training?"
        )
    raise DataError(message, code="split")


def evaluate(
    scorer: Scorer,
    sequences: Sequences,
    *,
    item_counts: Integer[np.ndarray, " items"],
    k: int = 3,
    keep_seen: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> Evaluation:
    """Rank the next item of every new person who has more than ``k`` events.

    Args:
        sequences: whole sequences of new people, as indices of training items.
        item_counts: number of training events of each item, for the groups.
        keep_seen: let support items compete too, for data where people come back to things.
        seed: seed of the sampled negatives, which depend on it and on the person's index alone.
        progress: called with the people done and all people after every batch.

    Raises:
        ConfigError: ``k`` is no whole number, negative, or 0 for a scorer that needs a history;
            the catalogues of scorer and counts differ; the scorer lacks something, or its scores
            aren't a tensor of people × items.
        DataError: nobody has more than ``k`` events, or an item is outside the catalogue.
        TrainingError: the scorer gave scores that are not finite.
    """
    k, seed = whole("k", k), whole("seed", seed)
    _check(scorer, sequences, len(item_counts), k)
    users = people_to_judge(sequences, k)
    step = max(1, SCORES_AT_ONCE // len(item_counts))
    full, sampled = np.empty(len(users)), np.empty(len(users))
    for start in range(0, len(users), step):
        rows = slice(start, start + step)
        batch = sequences.select(users[rows])
        scores, targets = _scored(scorer, batch, k), _targets(batch, k)
        full[rows] = _full_ranks(scores, targets, _support(batch, 0 if keep_seen else k))
        negatives = _negatives(batch, users[rows], scorer.n_items, seed)
        sampled[rows] = _sampled_ranks(scores, targets, negatives)
        if progress:
            progress(min(start + step, len(users)), len(users))
    groups = popularity_groups(_support(sequences.select(users), k), item_counts)
    return Evaluation(k, users, full, sampled, groups)


def popularity_groups(
    support: Integer[np.ndarray, "users k"], item_counts: Integer[np.ndarray, " items"]
) -> dict[str, Members]:
    """The third of people with the least popular support items, and the third with the most.

    Popularity is the mean log training count of the support items. Each group has a third of the
    people, rounded down; people of equal popularity stand in their given order. Without support
    nobody is in a group.

    >>> counts = np.array([1, 10, 100])
    >>> groups = popularity_groups(np.array([[2, 2], [0, 1], [1, 0], [1, 1], [0, 2]]), counts)
    >>> {name: members.tolist() for name, members in groups.items()}
    {'minor': [1], 'major': [0]}
    """
    people, k = support.shape
    third = people // 3 if k else 0
    # Sorted, so that the same items in another order have exactly the same mean.
    logs = np.log(np.sort(np.maximum(item_counts, 1)[support], axis=1))
    order = np.argsort(logs.sum(axis=1), kind="stable")
    return {"minor": np.sort(order[:third]), "major": np.sort(order[people - third :])}


def draw_negatives(
    touched: Integer[np.ndarray, " events"], n_items: int, generator: np.random.Generator
) -> Int64[np.ndarray, " negatives"]:
    """100 different items that are not touched, uniformly, or all of them if there are fewer.

    >>> sorted(draw_negatives(np.array([1, 3, 1]), 5, np.random.default_rng(0)).tolist())
    [0, 2, 4]
    """
    distinct = np.unique(touched)
    size = min(n_items, NEGATIVES + len(distinct))
    drawn = generator.choice(n_items, size, replace=False)
    return drawn[~np.isin(drawn, distinct)][:NEGATIVES]


def _check(scorer: Scorer, sequences: Sequences, n_items: int, k: int) -> None:
    require_scorer(scorer)
    if k == 0 and scorer.needs_history:
        raise ConfigError("this scorer needs a history and k = 0 gives it none; use k = 1 or more")
    if scorer.n_items != n_items:
        raise ConfigError(
            f"the scorer ranks {scorer.n_items} items and the counts are of {n_items}; "
            "evaluate on the split that it was trained under"
        )
    highest = int(sequences.items.max(initial=-1))
    if highest >= n_items or int(sequences.items.min(initial=0)) < 0:
        raise DataError(
            f"an item index is outside 0 … {n_items - 1}; drop the items unknown to training first"
        )


def _support(sequences: Sequences, k: int) -> Int64[np.ndarray, "users k"]:
    """The first ``k`` items of people who all have that many."""
    cells = sequences.offsets[:-1, None] + np.arange(k)
    return sequences.items[cells].astype(np.int64)


def _targets(sequences: Sequences, k: int) -> Int64[Tensor, " users"]:
    return torch.from_numpy(sequences.items[sequences.offsets[:-1] + k].astype(np.int64))


def _scored(scorer: Scorer, batch: Sequences, k: int) -> Float[Tensor, "users items"]:
    """The scores of a batch, once they are known to be fit for ranking."""
    scores = scorer.score(Histories.from_lists(_support(batch, k)))
    require_scores(scores, len(batch), scorer.n_items)
    scores = scores.detach().cpu()
    invalid = ~torch.isfinite(scores)
    if invalid.any():
        person, item = invalid.nonzero()[0].tolist()
        raise TrainingError(
            f"{int(invalid.sum())} scores are not finite, the first is {scores[person, item]:g} of "
            f"item {item}; ranks would mean nothing, so train the model again"
        )
    return scores


def _full_ranks(
    scores: Float[Tensor, "users items"],
    targets: Int64[Tensor, " users"],
    excluded: Int64[np.ndarray, "users k"],
) -> Ranks:
    mask = torch.zeros_like(scores, dtype=torch.bool)
    return rank_of_target(scores, targets, mask.scatter(1, torch.from_numpy(excluded), True))


def _negatives(
    batch: Sequences, users: Int64[np.ndarray, " users"], n_items: int, seed: int
) -> Histories:
    """Each person's own draw, the same whatever the chunk, k and the other people."""
    return Histories.from_lists(
        draw_negatives(batch[row], n_items, np.random.default_rng([seed, user]))
        for row, user in enumerate(users)
    )


def _sampled_ranks(
    scores: Float[Tensor, "users items"], targets: Int64[Tensor, " users"], negatives: Histories
) -> Ranks:
    candidates = scores.gather(1, torch.cat([targets[:, None], negatives.items], dim=1))
    missing = torch.cat([torch.zeros(len(targets), 1).bool(), ~negatives.mask], dim=1)
    return rank_of_target(candidates, torch.zeros_like(targets), missing)


def _summary_of_ranks(ranks: Ranks) -> dict[str, float | list[float] | None]:
    intervals = [f"{name}_ci95" for name in METRICS]
    if not len(ranks):
        return dict.fromkeys([*METRICS, *intervals])
    spans = [list(span) for span in intervals_of_ranks(ranks).values()]
    return {**metrics_of_ranks(ranks), **dict(zip(intervals, spans, strict=True))}
