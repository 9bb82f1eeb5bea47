"""A matching meta-learner after Mecos, turned from new items to new people.

Zheng, Liu, Li & Wu, "Cold-start Sequential Recommendation via Meta Learner" (AAAI 2021,
arXiv 2012.05462) recommends items that few sequences hold: an encoder turns every pair of a
sequence and the item after it into a vector, the pairs of an item are its support, and a recurrent
matching network refines the query sequence by the support before both are compared.

Reduced to new people: the support is the person's own, the pairs of each prefix of their history
with the item that came next; the query is the whole history. In each of a few rounds the matching
network (an LSTM cell, as in Vinyals et al. 2016, arXiv 1606.04080) reads the support, attending
to the pairs that resemble the query so far, and adds what it finds to the query. Candidates are
compared with the outcome by inner product, with a softmax over drawn ones, so that the catalogue
costs one matrix product instead of a run of the network for each item.

Knows nothing about: how episodes are drawn, when training ends.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from clusterseq.baselines.dropout import dropped
from clusterseq.baselines.episodes import Schedule, drawn_by, learn
from clusterseq.baselines.peer import Setting
from clusterseq.data.histories import Histories
from clusterseq.data.tasks import Tasks
from clusterseq.model.losses import sampled_cross_entropy

RIVALS = 512
"""Drawn items that the query items of a batch are told apart from."""
ROUNDS = 3
"""How often the matching network reads the support."""
SCHEDULE = Schedule(support=5, batch=256, check_every=150, patience=5)


class PairEncoder(nn.Module):
    """A sequence joined with the item after it, as one vector."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.join = nn.Linear(2 * dim, dim)
        self.feed = nn.Sequential(nn.Linear(dim, 2 * dim), nn.ReLU(), nn.Linear(2 * dim, dim))
        self.norm = nn.LayerNorm(dim)

    def forward(
        self, sequences: Float[Tensor, "users pairs dim"], items: Float[Tensor, "users pairs dim"]
    ) -> Float[Tensor, "users pairs dim"]:
        """One vector for each pair."""
        joined = self.join(torch.cat([sequences, items], dim=-1))
        vectors: Tensor = self.norm(joined + self.feed(joined))
        return vectors


class Matcher(nn.Module):
    """Rounds of reading the support, each of which starts from what the last one made of it."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(2 * dim, dim)

    def forward(
        self,
        query: Float[Tensor, "users dim"],
        pairs: Float[Tensor, "users pairs dim"],
        mask: Bool[Tensor, "users pairs"],
    ) -> Float[Tensor, "users dim"]:
        """The query after all rounds; people without a pair read zeros."""
        matched, memory = query, torch.zeros_like(query)
        for _ in range(ROUNDS):
            read = attend(matched, pairs, mask)
            state, memory = self.cell(torch.cat([query, read], dim=1), (matched, memory))
            matched = query + state
        return matched


def attend(
    query: Float[Tensor, "users dim"],
    pairs: Float[Tensor, "users pairs dim"],
    mask: Bool[Tensor, "users pairs"],
) -> Float[Tensor, "users dim"]:
    """The mean of a person's pairs, weighted by a softmax of their products with the query.

    >>> pairs = torch.tensor([[[0.0, 2.0], [0.0, 4.0], [9.0, 9.0]]])
    >>> attend(torch.tensor([[1.0, 0.0]]), pairs, torch.tensor([[True, True, False]])).tolist()
    [[0.0, 3.0]]
    """
    logits = (pairs @ query[..., None])[..., 0].masked_fill(~mask, torch.finfo(query.dtype).min)
    weights = logits.softmax(dim=1) * mask  # without any pair the softmax alone would be uniform
    return (weights[:, None] @ pairs)[:, 0]


class Mecos(nn.Module):
    """Scores an item by its product with the history matched to its own pairs."""

    needs_history = True

    def __init__(
        self,
        n_items: int,
        generator: torch.Generator,
        *,
        support: int = 5,
        dim: int = 64,
        dropout: float = 0.2,
    ) -> None:
        """Take the size of the catalogue and the most items read of a history (``support``)."""
        super().__init__()
        self.n_items, self.support, self.dropout = n_items, support, dropout
        with drawn_by(generator):
            self.items = nn.Embedding(n_items, dim)
            nn.init.normal_(self.items.weight, std=dim**-0.5)
            self.sequences = nn.GRU(dim, dim, batch_first=True)
            self.pairs, self.matcher = PairEncoder(dim), Matcher(dim)

    def loss(self, tasks: Tasks, generator: torch.Generator) -> Float[Tensor, ""]:
        """Cross-entropy of what came next against drawn items."""
        queries = self.query(tasks.support, generator)
        drawn = torch.randint(self.n_items, (RIVALS,), generator=generator, device=generator.device)
        return sampled_cross_entropy(
            (queries * self.items(tasks.targets)).sum(dim=1),
            queries @ self.items(drawn).T,
            math.log(self.n_items / RIVALS),
            drawn == tasks.targets[:, None],
        )

    @torch.no_grad()
    def score(self, histories: Histories) -> Float[Tensor, "users items"]:
        """The matched queries against the catalogue."""
        if not len(histories):  # recurrent layers refuse an empty batch
            return torch.empty(0, self.n_items)
        return self.query(histories.to(self.items.weight.device)) @ self.items.weight.T

    def query(
        self, histories: Histories, generator: torch.Generator | None = None
    ) -> Float[Tensor, "users dim"]:
        """Each history, matched to its own prefixes; a generator drives dropout."""
        recent = histories.last(self.support)
        vectors = dropped(self.items(recent.items), self.dropout, generator)
        states, _ = self.sequences(vectors)
        pairs = self.pairs(states[:, :-1], vectors[:, 1:])
        matched = self.matcher(recent.newest(states), pairs, recent.mask[:, 1:])
        return dropped(matched, self.dropout, generator)


def fit_mecos(setting: Setting, *, dropout: float = 0.2, schedule: Schedule = SCHEDULE) -> Mecos:
    """Train on episodes of known people."""
    model = Mecos(
        setting.n_items, setting.generator("mecos"), support=schedule.support, dropout=dropout
    )
    learn(model, model.loss, model.score, setting, schedule)
    return model
