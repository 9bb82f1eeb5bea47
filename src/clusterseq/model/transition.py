"""The dynamic transition model (section 3.2.3): GRU encoder, attention decoder, one query per step.

The query of step t has read the items up to t only, so one pass serves every prefix of a sequence:
pre-training uses them all, the inner loop uses each support prefix, recommendation the last.

Beside what the states say, the items themselves reach the query on a *direct* path: the newest one
and a mean of all, the older the less. It starts as "more of the same", which is most of what three
items tell; recurrence and attention then learn what order adds. (A step beyond the paper; alone it
is a factorised Markov chain as in FPMC, Rendle et al. 2010, or Fossil, He & McAuley 2016.)

Several members stand side by side, each with its own share of the embedding and its own weights;
they never exchange anything, and their scores are averaged (``head``).

Knows nothing about: the catalogue, clusters, adaptation.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from clusterseq.data.packing import Packing
from clusterseq.model.gru import linear
from clusterseq.model.parts import Encoder

NEWEST = 0.5
"""Weight of the newest item beside the mean of all, at the start of training."""
FORGETTING = 0.3
"""Start of the rate by which older items count less in that mean, per step."""
FEW_STEPS = 4
"""Up to so many steps products of all people are faster than PyTorch's own attention, which takes
them one by one, but has the better gradient."""
QUIET = 0.1
"""Scale of what the states say at the start, so that the direct path is learnt first."""


class TransitionModel(nn.Module):
    """Embedded items in, one query vector per prefix out; width = members × dim."""

    def __init__(
        self,
        members: int,
        dim: int,
        encoder: Encoder,
        *,
        attention: bool,
        direct: bool,
        dropout: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.members, self.dropout = members, dropout
        self.direct: nn.Parameter | None = None
        self.forgetting: nn.Parameter | None = None
        if direct:
            newest, mean = NEWEST * torch.eye(dim), torch.eye(dim)
            self.direct = nn.Parameter(torch.cat([newest, mean], dim=1).repeat(members, 1, 1))
            self.forgetting = nn.Parameter(torch.full((members,), FORGETTING))
        self.encoder = encoder
        self.key = nn.Parameter(_normal((members, dim, dim), generator)) if attention else None
        width = 2 * dim if attention else dim
        weight = _normal((members, dim, width), generator)
        self.output_weight = nn.Parameter(weight * QUIET if direct else weight)
        self.output_bias = nn.Parameter(torch.zeros(members, dim))

    def forward(
        self,
        inputs: Float[Tensor, "items width"],
        packing: Packing,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "items width"]:
        """The query of every prefix; with a generator, inputs and states are dropped by it."""
        member_inputs = self._of_members(inputs)
        embedded = dropped(member_inputs, self.dropout, generator)  # (members, items, dim)
        states = self.encoder(embedded, packing.sizes)
        sources = [states]
        if self.key is not None:
            sources.append(self._attended(states, self.key, packing))
        sources = [dropped(source, self.dropout, generator) for source in sources]
        queries = linear(sources, self.output_weight, self.output_bias[:, None])
        if self.direct is not None:
            queries = linear([embedded, self._faded(embedded, packing)], self.direct, queries)
        return queries.movedim(0, 1).flatten(1)

    def attention(
        self, inputs: Float[Tensor, "items width"], packing: Packing
    ) -> Float[Tensor, "people steps steps"] | None:
        """What share of its attention each step gives to each; the members' mean.

        People stand longest first. None where the decoder doesn't attend.
        """
        if self.key is None:
            return None
        member_inputs = self._of_members(inputs)
        states = self.encoder(member_inputs, packing.sizes)
        rows, keys = packing.side_by_side(states), packing.side_by_side(states @ self.key.mT)
        return _shares(rows, keys).mean(dim=0)

    def _of_members(
        self, inputs: Float[Tensor, "items width"]
    ) -> Float[Tensor, "members items dim"]:
        items, width = inputs.shape
        return inputs.reshape(items, self.members, width // self.members).movedim(1, 0)

    def _attended(
        self,
        states: Float[Tensor, "members items dim"],
        key: Float[Tensor, "members dim dim"],
        packing: Packing,
    ) -> Float[Tensor, "members items dim"]:
        """Each state looks back over itself and all earlier ones (long range)."""
        rows, keys = packing.side_by_side(states), packing.side_by_side(states @ key.mT)
        if len(packing.sizes) > FEW_STEPS or torch.is_grad_enabled():
            attended = nn.functional.scaled_dot_product_attention(rows, keys, rows, is_causal=True)
        else:
            attended = _shares(rows, keys) @ rows.contiguous()
        return packing.in_turn(attended)

    def _faded(
        self, embedded: Float[Tensor, "members items dim"], packing: Packing
    ) -> Float[Tensor, "members items dim"]:
        """The mean of the items up to each step; each step back divides the weight."""
        assert self.forgetting is not None, "only the direct path forgets"
        positions = torch.arange(len(packing.sizes), dtype=embedded.dtype, device=embedded.device)
        ages = positions[:, None] - positions  # negative for what comes later
        weights = (-self.forgetting[:, None, None] * ages).masked_fill(ages < 0, -torch.inf)
        return packing.in_turn(weights.softmax(dim=-1)[:, None] @ packing.side_by_side(embedded))


def _shares(
    queries: Float[Tensor, "members people steps dim"],
    keys: Float[Tensor, "members people steps dim"],
) -> Float[Tensor, "members people steps steps"]:
    """What share of its attention each step gives to each; none to what comes later."""
    scores = queries.contiguous() @ keys.contiguous().mT / math.sqrt(queries.shape[-1])
    later = torch.ones_like(scores[0, 0], dtype=torch.bool).triu(1)
    return scores.masked_fill(later, -torch.inf).softmax(dim=-1)


def dropped(values: Tensor, share: float, generator: torch.Generator | None) -> Tensor:
    """Inverted dropout with an explicit generator; without one, the values as they are."""
    if generator is None or share == 0:
        return values
    # Sixteen bits decide on a value, so one draw serves four: draws cost more than products here.
    words = torch.empty(-(-values.numel() // 4), dtype=torch.int64, device=values.device)
    words.random_(-(2**63), None, generator=generator)
    bits = words.view(torch.int16)[: values.numel()].reshape(values.shape)
    mask = bits >= round(share * 2**16) - 2**15
    return values * mask.to(values.dtype).mul_(1 / (1 - share))


def _normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator) / math.sqrt(shape[-1])
