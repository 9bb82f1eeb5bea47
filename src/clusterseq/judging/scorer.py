"""What anything must offer to be judged by the protocol or asked for recommendations.

Scorers are brought by others, too, so that what they lack is named.

Knows nothing about: how scores come about, raw ids, ranking.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from clusterseq.data.histories import Histories
from clusterseq.errors import ConfigError

OFFERS = ("needs_history", "n_items", "score")


@runtime_checkable
class Scorer(Protocol):
    """Anything that scores the whole catalogue for people known only by their histories."""

    needs_history: bool
    """False if an empty history gets a meaningful ranking too."""
    n_items: int
    """Size of the catalogue."""

    def score(self, histories: Histories) -> Float[Tensor, "users items"]:
        """Score every item for every person, higher is better; only their own history is used."""
        ...


def require_scorer(scorer: object) -> None:
    """Refuse what lacks a part of the protocol.

    Raises:
        ConfigError: it does.
    """
    absent = [name for name in OFFERS if not hasattr(scorer, name)]
    if absent:
        raise ConfigError(
            f"the scorer {type(scorer).__name__} has no {' and no '.join(absent)}; give it "
            f"{', '.join(OFFERS)}",
            code="extension",
        )


def require_scores(scores: object, people: int, n_items: int | None = None) -> None:
    """Refuse what isn't a tensor of people × items; any number of items unless it is given.

    Raises:
        ConfigError: it isn't.
    """
    if not isinstance(scores, Tensor):
        raise ConfigError(
            f"scores of type {type(scores).__name__}; a scorer must give a tensor of people × "
            "items",
            code="extension",
        )
    if scores.layout != torch.strided or scores.is_complex():
        raise ConfigError(
            f"scores of layout {scores.layout} and {scores.dtype}; a scorer must give a dense "
            "tensor of real numbers",
            code="extension",
        )
    items = n_items if n_items is not None else scores.shape[-1:].numel()
    if scores.shape != (people, items):
        raise ConfigError(
            f"scores of shape {tuple(scores.shape)} for {people} people and {items} items; a "
            "scorer must give people × items",
            code="extension",
        )
