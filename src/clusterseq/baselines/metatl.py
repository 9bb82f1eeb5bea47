"""MetaTL: learn how newcomers move from item to item, as one translation per person.

Wang, Ding & Caverlee, "Sequential Recommendation for Cold-start Users with Meta Transitional
Learning" (SIGIR 2021, arXiv 2107.06427). A transition learner turns the consecutive pairs of a
support into a transition R; an item t follows h the better, the nearer h + R is to t (as TransE
does it); one gradient step of the support's margin loss with respect to R adapts it to the person,
and the margin loss of the query after that step is what training minimises.

As published (``mended=False``) the method does what the authors' program does, which differs from
their paper in four ways, each marked below: the gradients of the support loss stay in all weights
and join the query's; the inner step is not differentiated through; it is divided by the number of
people in the batch, so that training adapts a thousand times less than use does; and the first
evaluation ends dropout and the training of batch norm's statistics. ``mended=True`` is the paper's
formula: gradients kept apart, the same inner step in training and in use, training mode restored.
Not taken over is the authors' sampler, which leaves out the item before the target and many
episodes empty; nor that their first evaluation comes at step 1,000, too late for small data.

The learner is built for exactly K items. Of longer histories the newest K are read; shorter ones
are filled up in front, as in the authors' sampler, by pairs of a padding item that has a vector of
its own: such a pair informs the learner that something is missing and pulls the inner step nowhere.

Knows nothing about: how episodes are drawn, when training ends.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, normalize, relu

from clusterseq.baselines.dropout import dropped
from clusterseq.baselines.episodes import Schedule, draw_rivals, drawn_by, learn
from clusterseq.baselines.peer import Setting
from clusterseq.data.histories import Histories
from clusterseq.data.tasks import Tasks

HIDDEN = (500, 200)
DROPOUT = 0.5
MARGIN = 1.0
SCHEDULE = Schedule(support=3, batch=1024, check_every=250, patience=60)
"""MetaTL may stand near the level of popularity for thousands of steps before it learns more: so it
is given 15,000 without progress."""


class TransitionLearner(nn.Module):
    """A perceptron over every pair of a support; the transition is the mean of what it says."""

    def __init__(self, pairs: int, dim: int) -> None:
        super().__init__()
        widths = (2 * dim, *HIDDEN, dim)
        layers = [nn.Linear(*ends) for ends in pairwise(widths)]
        for layer in layers:
            nn.init.xavier_normal_(layer.weight)
        self.linear = nn.ModuleList(layers)
        # A channel is the place of a pair, not a feature: so it stands in the authors' program, and
        # it gives transitions a length of about √dim, far above that of items.
        self.norm = nn.ModuleList(nn.BatchNorm1d(pairs) for _ in layers)

    def forward(
        self,
        heads: Float[Tensor, "users pairs dim"],
        tails: Float[Tensor, "users pairs dim"],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "users dim"]:
        """The transition of each person; a generator drives dropout while in training mode."""
        hidden = torch.cat([heads, tails], dim=-1)
        for index, (linear, norm) in enumerate(zip(self.linear, self.norm, strict=True)):
            hidden = norm(linear(hidden))
            if index < len(HIDDEN):
                draws = generator if self.training else None
                hidden = dropped(leaky_relu(hidden), DROPOUT, draws)
        return hidden.mean(dim=1)


class MetaTL(nn.Module):
    """Scores an item by how near it is to the last one moved by the person's transition."""

    needs_history = True

    def __init__(
        self,
        n_items: int,
        generator: torch.Generator,
        *,
        mended: bool,
        support: int = 3,
        dim: int = 100,
        rate: float = 5.0,
    ) -> None:
        """Take the size of the catalogue, K (``support``) and β (``rate``)."""
        super().__init__()
        self.n_items, self.mended, self.steps, self.rate = n_items, mended, support, rate
        with drawn_by(generator):
            self.items = nn.Embedding(n_items + 1, dim)  # the last one is padding
            nn.init.xavier_uniform_(self.items.weight)
            self.learner = TransitionLearner(support - 1, dim)
        self.register_buffer("uniform", torch.rand(support - 1, generator=generator))
        self.uniform: Tensor

    def loss(self, tasks: Tasks, generator: torch.Generator) -> Float[Tensor, ""]:
        """The query's margin loss after the inner step; as published, with the support's added."""
        if self.mended:
            self.train()  # as published, the mode stays what the first evaluation made it
        newest = self._newest(tasks.support)
        held = torch.cat([newest, tasks.targets[:, None]], dim=1)
        rivals = draw_rivals(
            held,
            self.n_items,
            torch.rand(len(held), self.steps, generator=generator, device=held.device),
        )
        pairs = self._pairs(newest, rivals[:, 1:])
        transition = self.learner(pairs[0], pairs[1], generator)
        step = self.rate * support_gradient(transition, *pairs)
        if not self.mended:
            step = step.detach() / len(tasks)  # of a mean over the batch, not over one's own pairs
        last, target, rival = (
            self.items(chosen) for chosen in (newest[:, -1], tasks.targets, rivals[:, 0])
        )
        loss = _hinge(last + transition - step, target, rival).mean()
        # Adding the losses is what leaving the support's gradients in the weights comes to.
        return loss if self.mended else loss + support_loss(transition, *pairs)

    @torch.no_grad()
    def score(self, histories: Histories) -> Float[Tensor, "users items"]:
        """Nearness of every item, ‖q‖² − ‖q − t‖² of the query q; rivals are the same each time."""
        self.eval()
        newest = self._newest(histories.to(self.uniform.device))
        rivals = draw_rivals(newest, self.n_items, self.uniform.expand(len(newest), -1))
        pairs = self._pairs(newest, rivals)
        transition = self.learner(pairs[0], pairs[1])
        transition = transition - self.rate * support_gradient(transition, *pairs)
        catalogue = self.items.weight[: self.n_items]
        query = self.items(newest[:, -1]) + transition
        return torch.addmm(-catalogue.square().sum(dim=1), query, 2 * catalogue.T)

    def _newest(self, histories: Histories) -> Int64[Tensor, "users steps"]:
        """The newest K items of each person, padded in front."""
        steps = torch.arange(self.steps, device=histories.lengths.device)
        positions = histories.lengths[:, None] - self.steps + steps
        items = histories.items.gather(1, positions.clamp_min(0))
        return torch.where(positions >= 0, items, self.n_items)

    def _pairs(
        self, newest: Int64[Tensor, "users steps"], rivals: Int64[Tensor, "users pairs"]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Vectors of heads, tails and of what the tails are told from; padding goes to padding."""
        heads = newest[:, :-1]
        missing = heads == self.n_items
        tails, negatives = (
            chosen.masked_fill(missing, self.n_items) for chosen in (newest[:, 1:], rivals)
        )
        return self.items(heads), self.items(tails), self.items(negatives)


def fit_metatl(setting: Setting, *, mended: bool, schedule: Schedule = SCHEDULE) -> MetaTL:
    """Train with the published settings on episodes of known people."""
    model = MetaTL(
        setting.n_items, setting.generator("metatl"), mended=mended, support=schedule.support
    )
    learn(model, model.loss, model.score, setting, schedule)
    return model


def support_loss(
    transition: Float[Tensor, "users dim"],
    heads: Float[Tensor, "users pairs dim"],
    tails: Float[Tensor, "users pairs dim"],
    rivals: Float[Tensor, "users pairs dim"],
) -> Float[Tensor, ""]:
    """Margin loss of the support pairs, averaged over pairs and people.

    Here a tail at distance 5 is to be nearer by 1 than a rival at distance 5.5.

    >>> head, tail, rival = torch.tensor([[[[0.0, 0.0]]], [[[3.0, 4.0]]], [[[5.5, 0.0]]]])
    >>> support_loss(torch.zeros(1, 2), head, tail, rival).item()
    0.5
    """
    return _hinge(heads + transition[:, None], tails, rivals).mean()


def support_gradient(
    transition: Float[Tensor, "users dim"],
    heads: Float[Tensor, "users pairs dim"],
    tails: Float[Tensor, "users pairs dim"],
    rivals: Float[Tensor, "users pairs dim"],
) -> Float[Tensor, "users dim"]:
    """The gradient of each person's own support loss with respect to the transition.

    A distance ‖x‖ grows along x / ‖x‖, and pairs that keep the margin pull nowhere.
    """
    moved = heads + transition[:, None]
    violated = _hinge(moved, tails, rivals) > 0
    pull = normalize(moved - tails, dim=-1) - normalize(moved - rivals, dim=-1)
    return (pull * violated[..., None]).mean(dim=1)


def _hinge(
    moved: Float[Tensor, "*pairs dim"],
    tails: Float[Tensor, "*pairs dim"],
    rivals: Float[Tensor, "*pairs dim"],
) -> Float[Tensor, "*pairs"]:
    """How far each pair falls short of being closer than its rival by the margin."""
    near, far = ((moved - ends).norm(dim=-1) for ends in (tails, rivals))
    return relu(MARGIN + near - far)
