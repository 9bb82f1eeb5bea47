"""The whole catalogue, ranked for people whose parameters are adapted: scores, and a target's loss.

One product makes all of a score but the memory's part, which is added where the memory says
something. The loss takes a few people at a time, whose scores stay in a cache and become their own
gradient there, so people × items are never held.

Knows nothing about: how preferences come about, who may not be recommended what.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from clusterseq.histories import Histories
from clusterseq.losses import loss_and_slopes
from clusterseq.memory import Memory
from clusterseq.model.head import Candidates, Pointer, Theta
from clusterseq.tasks import Tasks

SCORES_AT_ONCE = 1_000_000
"""Bound on people × items of one product, so that its results are still in a cache when read."""
PEOPLE_AT_LEAST = 16
"""People of one product all the same: each product reads the whole catalogue."""

Spoken: TypeAlias = Sequence[tuple[Int64[Tensor, " _"], Float[Tensor, " _"]]]
"""For each kind of memory, cells of people × items and what is said of them (``Memory``)."""


@dataclass(frozen=True)
class Catalogue:
    """All items as the parameters make them now: the same for everybody."""

    table: Float[Tensor, "items width"]
    """The smoothed vectors, as histories are read."""
    items: Candidates
    """All of them, as they are ranked."""
    columns: Float[Tensor, "items columns"]
    """Their vectors and traits side by side: a trait counts as one more dimension."""
    anchors: Candidates | None
    """Those that the inner loop contrasts with what was touched; None if nothing adapts."""


@dataclass(frozen=True)
class Preferences:
    """What people look for: all that differs from one to the other in a ranking."""

    queries: Float[Tensor, "users columns"]
    """Their product with an item's column is its score, but for the memory's part."""
    trust: Float[Tensor, "users kinds"] | None
    """How much each kind of memory counts."""

    @classmethod
    def of(
        cls, theta: Theta, queries: Float[Tensor, "users width"], items: Candidates
    ) -> Preferences:
        """The last queries of people, pointed by their own θ."""
        pointed = Pointer(theta, queries[:, None], items).vectors[:, 0]
        sharp = torch.exp(theta["sharpness"]) * pointed
        queries = torch.cat([sharp, theta["popularity"]], dim=1)
        return cls(queries, theta.get("trust"))

    def __getitem__(self, rows: slice) -> Preferences:
        """Those of some people."""
        return Preferences(self.queries[rows], None if self.trust is None else self.trust[rows])


def scores(
    wanted: Preferences,
    columns: Float[Tensor, "items columns"],
    acuity: Float[Tensor, " kinds"] | None,
    spoken: Spoken,
) -> Float[Tensor, "users items"]:
    """Everybody's scores of all items: ⟨query, column⟩ + Σ trust · log(1 + e^acuity · said)."""
    found = wanted.queries @ columns.T
    if wanted.trust is not None and acuity is not None:
        flat = found.view(-1)
        for kind, (cells, said) in enumerate(spoken):
            trust = wanted.trust[:, kind][cells // len(columns)]
            flat.scatter_(0, cells, flat[cells] + trust * torch.log1p(acuity[kind].exp() * said))
    return found


def chunks(people: int, n_items: int) -> Iterator[slice]:
    """Rows of people whose scores fit into a cache together, or few rows of many items."""
    at_once = max(PEOPLE_AT_LEAST, SCORES_AT_ONCE // n_items)
    return (slice(start, start + at_once) for start in range(0, people, at_once))


def catalogue_loss(
    wanted: Preferences,
    columns: Float[Tensor, "items columns"],
    acuity: Float[Tensor, " kinds"] | None,
    memory: Memory | None,
    tasks: Tasks,
) -> Float[Tensor, ""]:
    """Mean −log softmax of the tasks' targets over all items but the support's others."""
    trust = wanted.trust if memory is not None else None
    found: Tensor = _CatalogueLoss.apply(  # type: ignore[no-untyped-call]
        wanted.queries, columns, trust, acuity, memory, tasks
    )
    return found


class _CatalogueLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        queries: Tensor,
        columns: Tensor,
        trust: Tensor | None,
        acuity: Tensor | None,
        memory: Memory | None,
        tasks: Tasks,
    ) -> Tensor:
        wanted = Preferences(queries, trust)
        slopes = _Slopes(wanted, columns if ctx.needs_input_grad[1] else None, acuity)
        total = queries.new_zeros(())
        for rows in chunks(len(tasks), len(columns)):
            part = tasks[rows]
            spoken = what_is_said(memory, part.support, queries.dtype)
            found = scores(wanted[rows], columns, acuity, spoken)
            target = part.targets[:, None]
            others = part.support.touched(len(columns)).scatter_(1, target, False)
            loss, errors = loss_and_slopes(found.masked_fill_(others, -torch.inf), target)
            total += loss
            slopes.add(rows, errors, columns, spoken)
        ctx.slopes, ctx.people = slopes, len(tasks)
        return total / len(tasks)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        share, slopes = gradients[0] / ctx.people, ctx.slopes
        found = (slopes.queries, slopes.columns, slopes.trust, slopes.acuity)
        return (*(None if each is None else share * each for each in found), None, None)


class _Slopes:
    """The gradient of the summed loss with respect to all that scores are made of."""

    def __init__(self, wanted: Preferences, columns: Tensor | None, acuity: Tensor | None) -> None:
        self.wanted, self.sharpness = wanted, acuity
        self.queries = torch.empty_like(wanted.queries)
        self.columns = None if columns is None else torch.zeros_like(columns)
        self.trust = None if wanted.trust is None else torch.zeros_like(wanted.trust)
        self.acuity = None if acuity is None else torch.zeros_like(acuity)

    def add(
        self, rows: slice, errors: Float[Tensor, "users items"], columns: Tensor, spoken: Spoken
    ) -> None:
        """Count in what some people's errors say."""
        self.queries[rows] = errors @ columns
        if self.columns is not None:
            self.columns.addmm_(errors.T, self.wanted.queries[rows])
        if self.trust is None or self.wanted.trust is None or self.acuity is None:
            return
        assert self.sharpness is not None, "acuity has slopes where it has values"
        flat, of_trust = errors.view(-1), self.trust[rows]
        for kind, (cells, said) in enumerate(spoken):
            people = cells // errors.shape[1]
            grown = self.sharpness[kind].exp() * said
            times = torch.zeros_like(flat).scatter_add_(0, cells, torch.ones_like(said))[cells]
            once = flat[cells] / times  # a cell that comes several times counts once
            of_trust[:, kind].index_add_(0, people, once * torch.log1p(grown))
            trusted = self.wanted.trust[rows][people, kind]
            self.acuity[kind] += (once * trusted * grown / (1 + grown)).sum()


def what_is_said(memory: Memory | None, histories: Histories, dtype: torch.dtype) -> Spoken:
    """What a memory says of the catalogue to some people; nothing where there is none."""
    if memory is None:
        return []
    return [(cells, said.to(dtype)) for cells, said in memory.spoken_for(histories)]
