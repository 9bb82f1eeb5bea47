"""The whole catalogue, ranked for people whose parameters are adapted: scores, and a target's loss.

One product makes all of a score but the memory's part, which is added where the memory says
something. The loss takes a few people at a time, whose scores stay in a cache and become their own
gradient there, so people × items are never held.

Knows nothing about: how preferences come about, who may not be recommended what.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from clusterseq.data.evidence import Evidence, SparseEvidence
from clusterseq.data.memory import Memory
from clusterseq.data.tasks import Tasks
from clusterseq.machine.accelerator import cells_at_once
from clusterseq.model.head import Candidates, Pointer, Theta
from clusterseq.model.losses import loss_and_gradient
from clusterseq.model.rivals import Rivals
from clusterseq.model.votes import Votes, sharpened

SCORES_AT_ONCE = 1_000_000
"""Bound on people × items of one product, so that its results are still in a cache when read."""
CHOSEN_AT_ONCE = 4_096
"""Bound on chosen items whose columns are gathered for one product."""
PEOPLE_AT_LEAST = 16
"""People of one product all the same: each product reads the whole catalogue."""


@dataclass(frozen=True)
class Catalogue:
    """All items as the parameters make them now: the same for everybody."""

    table: Float[Tensor, "items width"]
    """The smoothed vectors, as histories are read."""
    items: Candidates
    """All of them, as they are ranked."""
    anchors: Candidates | None
    """Those that the inner loop contrasts with what was touched; None if nothing adapts."""
    anchor_places: Int64[Tensor, " items"] | None
    """Where each item stands among the anchors; −1 if it is none."""


@dataclass(frozen=True)
class Preferences:
    """What people look for: all that differs from one to the other in a ranking."""

    queries: Float[Tensor, "users columns"]
    """Their product with an item's columns is its score, but for the memory's part."""
    trust: Float[Tensor, "users kinds"]
    """How much each kind of memory counts."""

    @classmethod
    def of(
        cls,
        values: Float[Tensor, "users size"],
        queries: Float[Tensor, "users width"],
        items: Candidates,
    ) -> Preferences:
        """The last queries of people, pointed by their own θ."""
        theta = Theta(values, items)
        return cls(Pointer(theta, queries[:, None], items).columns[:, 0], theta.trust[:, 0])

    def __getitem__(self, rows: slice) -> Preferences:
        """Those of some people."""
        return Preferences(self.queries[rows], self.trust[rows])


def scores(
    wanted: Preferences, columns: Float[Tensor, "items columns"], votes: Votes | None
) -> Float[Tensor, "users items"]:
    """Everybody's scores of all items: ⟨query, columns⟩ and what the memory adds."""
    products = wanted.queries @ columns.T
    return products if votes is None else votes.added(products)


def scores_of(
    items: Int64[Tensor, "users some"],
    queries: Float[Tensor, "users columns"],
    columns: Float[Tensor, "items columns"],
    votes: Votes | None,
) -> Float[Tensor, "users some"]:
    """Everybody's scores of some items of their own; −∞ for what lies past the catalogue's end."""
    n_items, (users, n_chosen) = len(columns), items.shape
    chosen_scores = queries.new_empty(users, n_chosen)
    at_once = max(1, CHOSEN_AT_ONCE // max(1, n_chosen))
    for start in range(0, users, at_once):
        rows = slice(start, start + at_once)
        gathered = columns.index_select(0, items[rows].clamp_max(n_items - 1).flatten())
        # Not as a product of matrices, which sums in another order at the edges of its blocks:
        # equal items have equal scores, wherever they stand and whoever is asked about beside.
        per_user = gathered.view(-1, n_chosen, columns.shape[1])
        chosen_scores[rows] = per_user.mul_(queries[rows, None]).sum(dim=-1)
    if votes is not None:
        chosen_scores += votes.at(items, n_items)
    return chosen_scores.masked_fill_(items == n_items, -torch.inf)


def chunks(
    people: int, of_one: int, device: torch.device, cells: int | None = None
) -> Iterator[slice]:
    """Rows of people whose scores, so many of one, fit into a cache together; of few at least."""
    at_once = max(PEOPLE_AT_LEAST, cells_at_once(device, cells or SCORES_AT_ONCE) // of_one)
    return (slice(start, start + at_once) for start in range(0, people, at_once))


def catalogue_loss(
    wanted: Preferences,
    columns: Float[Tensor, "items columns"],
    acuity: Float[Tensor, " kinds"] | None,
    memory: Memory | None,
    tasks: Tasks,
    rivals: Rivals,
) -> Float[Tensor, ""]:
    """Mean −log softmax of the tasks' targets over all rivals but the support's others.

    The columns are those of the rivals, and the targets are among these.
    """
    loss: Tensor = _CatalogueLoss.apply(  # type: ignore[no-untyped-call]
        wanted.queries, columns, wanted.trust, acuity, memory, tasks, rivals
    )
    return loss


class _CatalogueLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        queries: Tensor,
        columns: Tensor,
        trust: Tensor,
        acuity: Tensor | None,
        memory: Memory | None,
        tasks: Tasks,
        rivals: Rivals,
    ) -> Tensor:
        preferences = Preferences(queries, trust)
        gradients = _Gradients(preferences, columns if ctx.needs_input_grad[1] else None, acuity)
        total = queries.new_zeros(())
        for rows in chunks(len(tasks), len(columns), columns.device):
            chunk = tasks[rows]
            evidence = None
            if memory is not None:
                evidence = Evidence(memory, chunk.support).about(rivals.items)
            subset, target = preferences[rows], rivals.places[chunk.targets[:, None]]
            logits = scores(subset, columns, Votes.of(subset.trust, acuity, evidence))
            logits += rivals.extra.to(logits.dtype)
            excluded = rivals.touched(chunk.support).scatter_(1, target, False)
            loss, errors = loss_and_gradient(logits.masked_fill_(excluded, -torch.inf), target)
            total += loss
            gradients.add(rows, errors, columns, evidence)
        ctx.gradients, ctx.people = gradients, len(tasks)
        return total / len(tasks)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        scale, gradients = outer[0] / ctx.people, ctx.gradients
        of_inputs = (part if part is None else scale * part for part in gradients.of_inputs)
        return (*of_inputs, None, None, None)


class _Gradients:
    """The gradient of the summed loss with respect to all that scores are made of."""

    def __init__(
        self, preferences: Preferences, columns: Tensor | None, acuity: Tensor | None
    ) -> None:
        self.preferences, self.acuity = preferences, acuity
        self.query_grad = torch.empty_like(preferences.queries)
        self.trust_grad = torch.zeros_like(preferences.trust)
        self.column_grad = None if columns is None else torch.zeros_like(columns)
        self.acuity_grad = None if acuity is None else torch.zeros_like(acuity)

    @property
    def of_inputs(self) -> tuple[Tensor, Tensor | None, Tensor, Tensor | None]:
        """In the order in which ``_CatalogueLoss`` takes what they belong to."""
        return self.query_grad, self.column_grad, self.trust_grad, self.acuity_grad

    def add(
        self,
        rows: slice,
        errors: Float[Tensor, "users items"],
        columns: Tensor,
        evidence: SparseEvidence | None,
    ) -> None:
        """Count in what some people's errors say."""
        self.query_grad[rows] = errors @ columns
        if self.column_grad is not None:
            self.column_grad.addmm_(errors.T, self.preferences.queries[rows])
        if self.acuity is None or self.acuity_grad is None or evidence is None:
            return
        trust = self.preferences.trust[rows].T  # (kinds, users)
        strength = sharpened(evidence, self.acuity, len(errors))
        cell_errors = errors.view(-1).index_select(0, evidence.cells)
        of_trust = cell_errors * torch.log1p(strength)
        of_acuity = cell_errors * strength / (1 + strength)
        sums = errors.new_zeros(2, trust.numel())
        sums.index_add_(1, evidence.owners, torch.stack([of_trust, of_acuity]).to(errors.dtype))
        self.trust_grad[rows] = sums[0].view_as(trust).T
        self.acuity_grad += (sums[1].view_as(trust) * trust).sum(dim=1)
