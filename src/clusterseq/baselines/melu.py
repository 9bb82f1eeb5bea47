"""MeLU, reduced to item ids and to what people touched: adapt the decision layers to one person.

Lee, Im, Jang, Cho & Chung, "MeLU: Meta-Learned User Preference Estimator for Cold-Start
Recommendation" (KDD 2019, arXiv 1908.00413): embeddings of user and item are joined and pass
decision layers; a gradient step on a newcomer's few ratings adapts the decision layers and nothing
else (MAML), and the loss of further ratings after that step trains everything.

Reduced, since there are neither attributes nor ratings here: an item is its id; newcomers share one
learnt user vector, as no two of them differ before their first item; a rating is whether somebody
touched an item, so that a support holds the items touched (1) and drawn ones that were not (0), the
two kinds weighing the same, the squared error is a logistic loss, and the query is the next item
against drawn ones. Without a history the unadapted layers rank.

Knows nothing about: the order of a history, how episodes are drawn, when training ends.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.func import grad, vmap
from torch.nn.functional import binary_cross_entropy_with_logits as logistic

from clusterseq.baselines.episodes import Schedule, draw_rivals, drawn_by, learn
from clusterseq.baselines.peer import Setting
from clusterseq.data.histories import Histories
from clusterseq.data.tasks import Tasks

SUPPORT_RIVALS = 5
"""Drawn items in a person's support."""
QUERY_RIVALS = 128
"""Drawn items that all query items of a batch are told apart from."""
CELLS_AT_ONCE = 4_000_000
"""Bound on people × items × hidden units in memory when the catalogue is scored."""
SCHEDULE = Schedule(support=5, batch=256, learning_rate=3e-3, check_every=150, patience=5)


class Decision(NamedTuple):
    """The decision layers: what a person's few items adapt."""

    user: Float[Tensor, "*people dim hidden"]
    item: Float[Tensor, "*people dim hidden"]
    shift: Float[Tensor, "*people hidden"]
    out: Float[Tensor, "*people hidden"]
    bias: Float[Tensor, "*people"]


class Ratings(NamedTuple):
    """What some people are taken to have said of some items."""

    items: Float[Tensor, "*people items dim"]
    """Vectors of the items."""
    labels: Float[Tensor, "*people items"]
    """1 for an item that was touched, 0 for one that was drawn."""
    weights: Float[Tensor, "*people items"]
    """Share in the loss: they sum to 1, or to 0 where there's no support."""


def preference(
    decision: Decision, user: Float[Tensor, " dim"], items: Float[Tensor, "items dim"]
) -> Float[Tensor, " items"]:
    """The logit of touching each of some items, for one person."""
    # The product with the joined vectors, without joining the person to every item.
    hidden = torch.relu(items @ decision.item + (user @ decision.user + decision.shift))
    return hidden @ decision.out + decision.bias


def support_loss(
    decision: Decision, user: Float[Tensor, " dim"], ratings: Ratings
) -> Float[Tensor, ""]:
    """One person's logistic loss."""
    logits = preference(decision, user, ratings.items)
    return (logistic(logits, ratings.labels, reduction="none") * ratings.weights).sum()


def adapt(
    decision: Decision, user: Float[Tensor, " dim"], ratings: Ratings, rate: float
) -> Decision:
    """One person's decision layers after a gradient step on what they touched."""
    gradients = grad(support_loss)(decision, user, ratings)
    return Decision(
        *(part - rate * gradient for part, gradient in zip(decision, gradients, strict=True))
    )


class MeLU(nn.Module):
    """Scores an item by decision layers that are adapted to the person."""

    needs_history = False

    def __init__(
        self,
        n_items: int,
        generator: torch.Generator,
        *,
        rate: float,
        support: int = 5,
        dim: int = 32,
        hidden: int = 64,
    ) -> None:
        """Take the size of the catalogue and the inner step size (``rate``)."""
        super().__init__()
        self.n_items, self.rate, self.support = n_items, rate, support
        with drawn_by(generator):
            self.items = nn.Embedding(n_items, dim)
            nn.init.normal_(self.items.weight, std=0.1)
            joint, out = nn.Linear(2 * dim, hidden), nn.Linear(hidden, 1)
        self.user = nn.Parameter(torch.zeros(dim))
        user, item = joint.weight.detach().T.chunk(2)
        start = user, item, torch.zeros(hidden), out.weight.detach()[0], torch.tensor(0.0)
        self.decision = nn.ParameterList(nn.Parameter(part.clone()) for part in start)
        self.register_buffer("uniform", torch.rand(SUPPORT_RIVALS, generator=generator))
        self.uniform: Tensor

    def loss(self, tasks: Tasks, generator: torch.Generator) -> Float[Tensor, ""]:
        """Tell what came next from drawn items, after adaptation to the support."""
        device = generator.device
        uniform = torch.rand(len(tasks), SUPPORT_RIVALS, generator=generator, device=device)
        adapted = self._adapted(tasks.support, uniform, tasks.targets)
        drawn = torch.randint(self.n_items, (QUERY_RIVALS,), generator=generator, device=device)
        positive = self._preferences(adapted, self.items(tasks.targets)[:, None], 0)
        negative = self._preferences(adapted, self.items(drawn), None)
        losses = logistic(negative, torch.zeros_like(negative), reduction="none")
        valid = drawn != tasks.targets[:, None]
        return logistic(positive, torch.ones_like(positive)) + (losses * valid).sum() / valid.sum()

    @torch.no_grad()
    def score(self, histories: Histories) -> Float[Tensor, "users items"]:
        """What the adapted layers say of the whole catalogue, for a few people at a time."""
        scores = self.user.new_empty(len(histories), self.n_items)
        if not len(histories):  # vmap refuses an empty batch
            return scores
        histories = histories.to(scores.device)
        adapted = self._adapted(histories, self.uniform.expand(len(histories), -1))
        at_once = max(1, CELLS_AT_ONCE // (self.n_items * adapted.out.shape[1]))
        for start in range(0, len(histories), at_once):
            rows = slice(start, start + at_once)
            batch = Decision(*(part[rows] for part in adapted))
            scores[rows] = self._preferences(batch, self.items.weight, None)
        return scores

    def _preferences(
        self, adapted: Decision, items: Float[Tensor, "*users items dim"], axis: int | None
    ) -> Float[Tensor, "users items"]:
        """Every person's own layers on their own items, or (axis None) on the same ones."""
        logits: Tensor = vmap(preference, (0, None, axis))(adapted, self.user, items)
        return logits

    def _adapted(
        self,
        histories: Histories,
        uniform: Float[Tensor, "users rivals"],
        targets: Int64[Tensor, " users"] | None = None,
    ) -> Decision:
        """The decision layers of each person; rivals are neither in the support nor the target."""
        recent = histories.last(self.support)
        held = torch.where(recent.mask, recent.items, self.n_items)
        excluded = held if targets is None else torch.cat([held, targets[:, None]], dim=1)
        rivals = draw_rivals(excluded, self.n_items, uniform)
        touched = recent.mask / recent.lengths.clamp_min(1)[:, None]
        drawn = (recent.lengths > 0)[:, None] * torch.full_like(uniform, 1 / uniform.shape[1])
        weights = torch.cat([touched, drawn], dim=1) / 2
        labels = torch.cat([torch.ones_like(touched), torch.zeros_like(drawn)], dim=1)
        vectors = self.items(torch.cat([recent.items, rivals], dim=1))
        decision = Decision(*self.decision)
        adapted: Decision = vmap(adapt, (None, None, 0, None))(
            decision, self.user, Ratings(vectors, labels, weights), self.rate
        )
        return adapted


def fit_melu(setting: Setting, *, rate: float = 0.5, schedule: Schedule = SCHEDULE) -> MeLU:
    """Train on episodes of known people."""
    model = MeLU(setting.n_items, setting.generator("melu"), rate=rate, support=schedule.support)
    learn(model, model.loss, model.score, setting, schedule)
    return model
