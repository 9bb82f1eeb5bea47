"""The adaptable parameters θ, and how they point a query.

What adapts is small and acts where the error is: the decoder's output (an element-wise gain and a
shift of the query), how sharp the scores are, how much popularity counts, and how far to trust each
kind of neighbour memory. All is a pure function: of one person's θ, or of many with a leading axis.

Knows nothing about: how θ is found, sequences, sampling, the memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Candidates:
    """Some items that queries are scored against."""

    columns: Float[Tensor, "items columns"]
    """Vectors and traits side by side: a trait counts as one more dimension."""
    width: int
    """How many of the columns are vectors."""
    scale: float
    """Scale of the cosine; 0 scores by the inner product."""
    members: int = 1
    """Equal pieces of a vector, each with a score of its own; the mean counts."""

    @property
    def vectors(self) -> Float[Tensor, "items width"]:
        """Their vectors, each member's piece of length 1 if the score is a cosine."""
        return self.columns[:, : self.width]

    @property
    def traits(self) -> Float[Tensor, "items traits"]:
        """Their biases, near the logarithm of how often they are touched, and how fresh they are.

        They speak for an item whoever asks.
        """
        return self.columns[:, self.width :]


PARTS = ("gain", "shift", "sharpness", "popularity", "lifts", "trust")
"""Of θ, in the order in which they stand in one tensor."""


def start_of_theta(width: int, traits: int, kinds: int, lifts: int = 0) -> dict[str, Tensor]:
    """θ before anything is learnt: the query as it is, and some trust in each memory.

    What clusters say for items counts nothing yet, for anybody (``lifts``).
    """
    theta = {
        "gain": torch.ones(width),
        "shift": torch.zeros(width),
        "sharpness": torch.zeros(1),
        "popularity": torch.eye(traits)[0],  # the bias counts once, the rest is to be learnt
    }
    theta |= {"lifts": torch.zeros(lifts)} if lifts else {}
    return theta | {"trust": torch.full((kinds,), 0.3)} if kinds else theta


class Theta:
    """θ of one person or of many, all in one tensor: a step of the inner loop moves it at once.

    Its parts have an axis of one beside, since they are the same for all prefixes of a person.
    """

    def __init__(self, values: Float[Tensor, "*users size"], some: Candidates) -> None:
        traits = some.columns.shape[1] - some.width
        sizes = [some.width, some.width, 1, traits, values.shape[-1] - 2 * some.width - 1 - traits]
        self.gain: Float[Tensor, "*users 1 width"]
        self.shift: Float[Tensor, "*users 1 width"]
        self.sharpness: Float[Tensor, "*users 1 1"]
        self.popularity: Float[Tensor, "*users 1 traits"]
        self.trust: Float[Tensor, "*users 1 kinds"]
        parts = values.unsqueeze(-2).split_with_sizes(sizes, -1)
        self.gain, self.shift, self.sharpness, self.popularity, self.trust = parts


class Pointer:
    """Where θ points queries: ``columns`` · an item's columns is its score, but for the memory.

    Of a vector's members the mean counts. The length of a query means nothing where the score is a
    cosine; its squares get a little more, so that there are second derivatives where dropout left
    nothing of a query.
    """

    def __init__(
        self, theta: Theta, queries: Float[Tensor, "*users prefixes width"], some: Candidates
    ) -> None:
        self.queries, self.popularity, self.scale = queries, theta.popularity, some.scale
        self.share = (some.scale or 1.0) / some.members  # of a member's cosine in the score
        self.sharpness = self.share * torch.exp(theta.sharpness)
        transformed = torch.addcmul(theta.shift, queries, theta.gain)  # (users, prefixes, width)
        dim = queries.shape[-1] // some.members  # said, since of nobody nothing can be inferred
        pieces = transformed.reshape(*transformed.shape[:-1], some.members, dim)
        if some.scale:
            squares = pieces.square().sum(dim=-1, keepdim=True)
            self.shortening = torch.rsqrt(squares + 1e-6)
            pieces = self.shortening * pieces
        self.pieces: Float[Tensor, "*users prefixes members dim"] = pieces
        self.directions: Float[Tensor, "*users prefixes width"] = pieces.flatten(-2)

    @property
    def vectors(self) -> Float[Tensor, "*users prefixes width"]:
        """What multiplies the candidates' vectors where sharpness doesn't count yet."""
        return self.share * self.directions

    @property
    def columns(self) -> Float[Tensor, "*users prefixes columns"]:
        """What multiplies the candidates' columns."""
        popularity = self.popularity.expand(*self.queries.shape[:-1], -1)
        return torch.cat([self.sharpness * self.directions, popularity], dim=-1)

    def pull_back(
        self, column_grad: Float[Tensor, "*users prefixes columns"]
    ) -> Float[Tensor, "*users pointing"]:
        """The gradient at ``columns``, as that of gain, shift, sharpness and popularity."""
        width = self.queries.shape[-1]
        piece_grad = (column_grad[..., :width] * self.sharpness).reshape(self.pieces.shape)
        dot = (self.pieces * piece_grad).sum(dim=-1, keepdim=True)
        if self.scale:
            # Of a direction u/|u| only what is across u can change: I − u uᵀ/|u|², over |u|.
            piece_grad = self.shortening * torch.addcmul(piece_grad, dot, self.pieces, value=-1)
        shift_grad = piece_grad.flatten(-2)
        parts = [shift_grad * self.queries, shift_grad, dot.sum(dim=-2), column_grad[..., width:]]
        return torch.cat(parts, dim=-1).sum(dim=-2)


def pointed(
    values: Float[Tensor, " size"], queries: Float[Tensor, "prefixes width"], some: Candidates
) -> Float[Tensor, "prefixes width"]:
    """Where the same θ points all queries, before sharpness counts (``Pointer.vectors``)."""
    return Pointer(Theta(values, some), queries, some).vectors
