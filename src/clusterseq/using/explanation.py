"""Why an item is recommended: what its score is the sum of, and what each item of a history adds.

The parts of a score follow the model's own steps. What the model says of a person before it treats
anyone apart is a sum already: the match with what the history tells, each kind of the neighbour
memory, popularity and freshness. What the person's clusters change comes on top, and then what the
adaptation changes. An item of the history adds what is lost without it: the person is adapted to
once more for every item that is left out, so this is exact and not a guess from the weights.

Knows nothing about: raw ids, what may be recommended, how it is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from clusterseq.data.evidence import Evidence
from clusterseq.data.histories import Histories
from clusterseq.data.memory import KINDS
from clusterseq.model.catalogue import Preferences
from clusterseq.model.ranker import Ranker

PARTS = ("match", *KINDS, "popularity", "freshness", "clusters", "adaptation")
"""What a score is the sum of."""


@dataclass(frozen=True)
class Explanation:
    """Why one item is recommended to one person."""

    parts: dict[str, float]
    """By the names of ``PARTS``; they add up to the score."""
    gains: tuple[float, ...]
    """For each item of the history, by how much it raises the item's log-probability, in nats."""
    attention: tuple[float, ...]
    """How the decoder's attention is spread over the history; empty for a model without it."""


@torch.inference_mode()
def explain(
    ranker: Ranker, history: Sequence[int], items: Sequence[int], *, steps: int | None = None
) -> list[Explanation]:
    """Explain some items to one person.

    Of a long history the model reads the newest ``max_steps`` items; the gains and the attention
    are theirs. Without history everything is popularity, and nothing adds to it.

    Args:
        history: item indices, oldest first.
        items: item indices of the recommendations.
        steps: steps of the inner loop that they were made with; None for all.

    >>> from clusterseq.config import ModelConfig
    >>> from clusterseq.model.clusterseq import ClusterSeq
    >>> ranker = Ranker(ClusterSeq(ModelConfig(n_items=50, dim=8)))
    >>> (why,) = explain(ranker, [3, 14], [7])
    >>> score = ranker.score(Histories.from_lists([[3, 14]]))[0, 7]
    >>> bool(torch.isclose(torch.tensor(sum(why.parts.values())), score, atol=1e-5))
    True
    >>> len(why.gains), len(why.attention)
    (2, 2)
    """
    newest = list(history)[-ranker.model.config.max_steps :]
    chosen = torch.as_tensor(list(items), dtype=torch.int64, device=ranker.model.device)
    if not newest:
        prior = ranker.prior[chosen].tolist()
        return [Explanation({"popularity": score}, (), ()) for score in prior]
    person = Histories.from_lists([newest]).to(ranker.model.device)
    gains = _gains(ranker, newest, chosen, steps).T.tolist()
    attention = _attention(ranker, person)
    return [
        Explanation(parts, tuple(gain), attention)
        for parts, gain in zip(_parts(ranker, person, chosen, steps), gains, strict=True)
    ]


def _gains(
    ranker: Ranker, history: list[int], items: Int64[Tensor, " items"], steps: int | None
) -> Float[Tensor, "steps items"]:
    """log p(item | history) less log p(item | history without each of its items)."""
    without = [history[:step] + history[step + 1 :] for step in range(len(history))]
    adapted = ranker.adapt(Histories.from_lists([history, *without]), steps)
    log_probs = ranker.scores(adapted).log_softmax(dim=1)[:, items]
    return log_probs[0] - log_probs[1:]


def _attention(ranker: Ranker, person: Histories) -> tuple[float, ...]:
    weights = ranker.model.attention(person, ranker.catalogue.table)
    return () if weights is None else tuple(weights[0].tolist())


def _parts(
    ranker: Ranker, person: Histories, items: Int64[Tensor, " items"], steps: int | None
) -> list[dict[str, float]]:
    """The parts of each item's score."""
    model, catalogue = ranker.model, ranker.catalogue
    queries = model.encode(person, catalogue.table)
    evidence = Evidence.of(model.memory, person)
    support_evidence = model.support_evidence(person, catalogue, evidence)
    thetas = [
        model.start.expand(1, -1),
        model.conditioned(person),
        model.adapted(person, queries, catalogue, support_evidence, steps=steps),
    ]
    last = queries[:, -1].expand(len(thetas), -1)
    preferences = Preferences.of(torch.cat(thetas), last, catalogue.items)
    parts = _split(preferences, ranker, evidence, items)  # (θs, parts, items)
    start, conditioned, adapted = parts.sum(dim=1)
    whole = torch.cat([parts[0], torch.stack([conditioned - start, adapted - conditioned])])
    names = PARTS if evidence is not None else tuple(p for p in PARTS if p not in KINDS)
    return [dict(zip(names, column, strict=True)) for column in whole.T.tolist()]


def _split(
    preferences: Preferences,
    ranker: Ranker,
    evidence: Evidence | None,
    items: Int64[Tensor, " items"],
) -> Float[Tensor, "thetas parts items"]:
    """What a score is the sum of, under several θ of the same person."""
    candidates, acuity = ranker.catalogue.items, ranker.model.acuity
    terms = preferences.queries[:, None] * candidates.columns[items]  # (θs, items, columns)
    match, popularity, freshness = terms.split_with_sizes(
        [candidates.width, 1, terms.shape[2] - candidates.width - 1], dim=2
    )
    parts = [match.sum(dim=2)]
    if evidence is not None and acuity is not None:
        strengths = evidence.dense()[:, 0, items]  # (kinds, items)
        votes = torch.log1p(acuity.exp()[:, None] * strengths)
        parts += [preferences.trust[:, kind, None] * votes[kind] for kind in range(len(KINDS))]
    parts += [popularity.sum(dim=2), freshness.sum(dim=2)]
    return torch.stack(parts, dim=1)
