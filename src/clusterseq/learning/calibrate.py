"""Calibration: how sharp the scores are and whom to trust, fitted on validation users.

A model is surer of people it has trained on than of newcomers, so its own training users can't tell
how far to trust it beside the memory. A handful of scalars (sharpness, popularity, trust and acuity
of the memory) are fitted by cross-entropy on people it has never seen; protocol and paper allow
validation users for just this. What the fit reaches judges an epoch of pre-training.

Knows nothing about: epochs, known users, files.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from clusterseq.data.evidence import Evidence, Spoken
from clusterseq.data.histories import Histories
from clusterseq.data.tasks import Tasks
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.head import pointed
from clusterseq.model.losses import cross_entropy

CELLS = 8_000_000
"""Bound on validation prefixes × items, which stay in memory during the fit."""
STEPS = 30
"""Most steps of the fit; half of them are usual."""
FLAT = 1e-4
"""A slope below this ends the fit, in nats."""
PRIOR = 1e-3
"""Cost of a scalar's squared move: the acuity of a memory that nobody trusts could be anything."""
SCALARS = ("sharpness", "popularity", "trust")
"""The parts of θ that are fitted here."""


def calibrate(model: ClusterSeq, tasks: Tasks) -> float:
    """Fit the scalars on some tasks of validation users; returns the cross-entropy reached."""
    tasks = _evenly(tasks, max(1, CELLS // model.n_items))
    with torch.no_grad():
        history = tasks.support.last(model.config.max_steps)
        spoken = None if model.memory is None else Evidence(model.memory, history).spoken
        touched = history.touched(model.n_items)
        matched, traits = _matched(model, history), model.items.traits()
    fitted = scalars(model)
    before = [value.detach().clone() for value in fitted]
    # So few scalars have a curvature that is soon known: quasi-Newton steps with a line search.
    optimiser = torch.optim.LBFGS(
        fitted,
        max_iter=STEPS,
        tolerance_grad=FLAT,
        tolerance_change=FLAT / 100,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        scores = _logits(model, matched, traits, spoken)
        return cross_entropy(scores, tasks.targets, touched)

    def closure() -> Tensor:
        moves = [(now - then).square().sum() for now, then in zip(fitted, before, strict=True)]
        total = loss() + PRIOR * torch.stack(moves).sum()
        optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        return float(loss())


def _matched(model: ClusterSeq, history: Histories) -> Float[Tensor, "users items"]:
    """How well the last queries match all items, by directions alone."""
    read = torch.unique(history.items)  # ascending
    places = Histories(torch.searchsorted(read, history.items), history.lengths)
    queries = history.newest(model.encode(places, model.items.vectors(read)))

    def pieces() -> Iterator[Tensor]:
        for rows, vectors in model.items.pieces():
            items = model.candidates(vectors, rows)
            yield pointed(model.start, queries, items) @ items.vectors.T

    return torch.cat(list(pieces()), dim=1)


def _evenly(tasks: Tasks, at_most: int) -> Tasks:
    """Some of the tasks, from first to last, so that nobody counts for standing early in a file."""
    if len(tasks) <= at_most:
        return tasks
    return tasks[torch.linspace(0, len(tasks) - 1, at_most).long().to(tasks.targets.device)]


def scalars(model: ClusterSeq) -> list[nn.Parameter]:
    """The parameters that newcomers fit."""
    found = [model.theta[name] for name in SCALARS if name in model.theta]
    return found if model.acuity is None else [*found, model.acuity]


def _logits(
    model: ClusterSeq,
    matched: Float[Tensor, "users items"],
    traits: Float[Tensor, "items traits"],
    spoken: Spoken | None,
) -> Float[Tensor, "users items"]:
    """Scores of the catalogue, with what does not change taken out of the loop."""
    theta = model.theta
    scores: Tensor = torch.exp(theta["sharpness"]) * matched + torch.mv(traits, theta["popularity"])
    if spoken is None or model.acuity is None:
        return scores
    # All that one kind says stands together. (Looking a scalar up for each cell would add its
    # slopes in another order at every run.)
    sizes = torch.div(spoken.owners, len(matched), rounding_mode="floor").bincount(
        minlength=model.kinds
    )
    parts = zip(
        spoken.said.log().split_with_sizes(sizes.tolist()),
        model.acuity,
        theta["trust"],
        strict=True,
    )
    # log(1 + e^acuity · said), which no acuity that a line search may try can make overflow
    heard = [trust * torch.nn.functional.softplus(acuity + said) for said, acuity, trust in parts]
    return scores.view(-1).scatter_add(0, spoken.cells, torch.cat(heard)).view_as(scores)
