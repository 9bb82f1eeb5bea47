"""Calibration: how sharp the scores are and whom to trust, fitted on validation users.

A model is surer of people it has trained on than of newcomers, so its own training users can't tell
how far to trust it beside the memory. A handful of scalars (sharpness, popularity, trust and acuity
of the memory) are fitted by cross-entropy on people it has never seen; protocol and paper allow
validation users for just this. What the fit reaches judges an epoch of pre-training.

Knows nothing about: epochs, known users, files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from clusterseq.data.evidence import Evidence, SparseEvidence
from clusterseq.data.histories import Histories
from clusterseq.data.tasks import Tasks
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.head import pointed
from clusterseq.model.losses import cross_entropy
from clusterseq.model.rivals import Rivals

CELLS = 8_000_000
"""Bound on validation prefixes × items, which stay in memory during the fit."""
LOOKED_UP_AT_ONCE = 1_000
"""People of whose items all entries of the memory are held, of which few are about rivals."""
ENOUGH = 400
"""Prefixes that tell the scalars. Where fewer would fit beside the catalogue, all are taken, and in
place of the catalogue what came next and a draw of other items: many people against some items fit
better than few people against all."""
STEPS = 30
"""Most steps of the fit; half of them are usual."""
FLAT = 1e-4
"""A gradient below this ends the fit, in nats."""
PRIOR = 1e-3
"""Least cost of a scalar's squared move, beside the mean over prefixes: the acuity of a memory that
nobody trusts could be anything. Of few prefixes it is as much as of ``ENOUGH`` in all, since a
handful could be fitted by any scalars, however absurd."""
SCALARS = ("sharpness", "popularity", "trust")
"""The parts of θ that are fitted here."""


def calibrate(model: ClusterSeq, tasks: Tasks, former: Sequence[Tensor] | None = None) -> float:
    """Fit the scalars on some tasks of validation users; returns the cross-entropy reached.

    They stay near to ``former`` ones, by default to what they are.
    """
    capacity = max(1, CELLS // model.n_items)
    sampled = capacity < min(ENOUGH, len(tasks))
    if not sampled:
        tasks = _evenly(tasks, capacity)
    at_most = max(1, CELLS // len(tasks)) if sampled else 0
    generator = torch.Generator(model.device).manual_seed(0)  # the same items for every epoch
    with torch.no_grad():
        rivals = Rivals.draw(tasks.targets, model.n_items, at_most, generator)
        history = tasks.support.last(model.config.max_steps)
        evidence = _evidence(model, history, rivals if sampled else None)
        touched = rivals.touched(history)
        matched = _matched(model, history, rivals.items if sampled else None)
        lifted = _lifted(model, history, rivals.items)
        traits, targets = model.items.traits()[rivals.items], rivals.places[tasks.targets]
    fitted = scalars(model)
    means = [value.detach().clone() for value in former or fitted]
    prior = PRIOR * max(1.0, ENOUGH / len(tasks))
    # So few scalars have a curvature that is soon known: quasi-Newton steps with a line search.
    optimiser = torch.optim.LBFGS(
        fitted,
        max_iter=STEPS,
        tolerance_grad=FLAT,
        tolerance_change=FLAT / 100,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        scores = _logits(model, matched, traits, lifted, evidence)
        return cross_entropy(scores + rivals.extra, targets, touched)

    def closure() -> Tensor:
        moves = [(value - mean).square().sum() for value, mean in zip(fitted, means, strict=True)]
        total = loss() + prior * torch.stack(moves).sum()
        optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        return float(loss())


def _matched(
    model: ClusterSeq, history: Histories, chosen: Int64[Tensor, " items"] | None
) -> Float[Tensor, "users items"]:
    """How well the last queries match the chosen items, or all, by directions alone."""
    distinct = torch.unique(history.items)  # ascending
    reindexed = Histories(torch.searchsorted(distinct, history.items), history.lengths)
    queries = history.newest(model.encode(reindexed, model.items.vectors(distinct)))

    def pieces() -> Iterator[Tensor]:
        selection = None if chosen is None else [(chosen, model.items.vectors(chosen))]
        for rows, vectors in selection or model.items.pieces():
            candidates = model.candidates(vectors, rows)
            yield pointed(model.start, queries, candidates) @ candidates.vectors.T

    return torch.cat(list(pieces()), dim=1)


def _lifted(
    model: ClusterSeq, history: Histories, items: Int64[Tensor, " items"]
) -> Float[Tensor, "users items"] | None:
    """What their clusters say for some items; None if clusters say nothing."""
    if model.lifts is None or not model.lifts.measured:
        return None
    lifted: Tensor = model.assign(history) @ model.lifts.table[items].T
    return lifted


def _evidence(
    model: ClusterSeq, histories: Histories, rivals: Rivals | None
) -> SparseEvidence | None:
    """What the memory says, of the rivals alone where there are some."""
    memory = model.memory
    if memory is None:
        return None
    if rivals is None:
        return Evidence(memory, histories).sparse
    rows = range(0, len(histories), LOOKED_UP_AT_ONCE)
    parts = (histories[slice(start, start + rows.step)] for start in rows)
    evidence = [Evidence(memory, part).about(rivals.items) for part in parts]
    return SparseEvidence.joined(evidence, [*rows, len(histories)], len(rivals.items))


def _evenly(tasks: Tasks, at_most: int) -> Tasks:
    """Some of the tasks, from first to last, so that nobody counts for standing early in a file."""
    if len(tasks) <= at_most:
        return tasks
    return tasks[torch.linspace(0, len(tasks) - 1, at_most).long().to(tasks.targets.device)]


def scalars(model: ClusterSeq) -> list[nn.Parameter]:
    """The parameters that newcomers fit."""
    parameters = [model.theta[name] for name in SCALARS if name in model.theta]
    if model.lifts is not None and model.lifts.measured:
        parameters.append(model.lifts.affinity)
    return parameters if model.acuity is None else [*parameters, model.acuity]


def _logits(
    model: ClusterSeq,
    matched: Float[Tensor, "users items"],
    traits: Float[Tensor, "items traits"],
    lifted: Float[Tensor, "users items"] | None,
    evidence: SparseEvidence | None,
) -> Float[Tensor, "users items"]:
    """Scores of the catalogue, with what does not change taken out of the loop."""
    theta = model.theta
    scores: Tensor = torch.exp(theta["sharpness"]) * matched + torch.mv(traits, theta["popularity"])
    if lifted is not None and model.lifts is not None:
        scores = scores + model.lifts.affinity * lifted
    if evidence is None or model.acuity is None:
        return scores
    # All that one kind says stands together. (Looking a scalar up for each cell would add its
    # gradients in another order at every run.)
    sizes = torch.div(evidence.owners, len(matched), rounding_mode="floor").bincount(
        minlength=model.kinds
    )
    parts = zip(
        evidence.values.log().split_with_sizes(sizes.tolist()),
        model.acuity,
        theta["trust"],
        strict=True,
    )
    # log(1 + e^acuity · said), which no acuity that a line search may try can make overflow
    heard = [trust * torch.nn.functional.softplus(acuity + said) for said, acuity, trust in parts]
    return scores.view(-1).scatter_add(0, evidence.cells, torch.cat(heard)).view_as(scores)
