"""Cross-entropy over the catalogue, whole or sampled: pure functions of tensors.

Knows nothing about: models, how candidates are drawn.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor


def cross_entropy(
    logits: Float[Tensor, "users items"],
    targets: Int64[Tensor, " users"],
    excluded: Bool[Tensor, "users items"] | None = None,
) -> Float[Tensor, ""]:
    """Mean −log softmax of the targets; excluded items compete only where they are the target."""
    if excluded is not None:
        logits = logits.masked_fill(excluded.scatter(1, targets[:, None], False), -torch.inf)
    return torch.nn.functional.cross_entropy(logits, targets)


def sampled_cross_entropy(
    target_logits: Float[Tensor, " users"],
    negative_logits: Float[Tensor, "users negatives"],
    log_weight: float,
    excluded: Bool[Tensor, "users negatives"],
) -> Float[Tensor, ""]:
    """The same over shared negatives, each of which stands for e^``log_weight`` items (log-Q).

    With all other items as negatives and a log-weight of 0 this is the full cross-entropy:

    >>> logits = torch.tensor([[1.0, 2.0, 0.5]])
    >>> full = cross_entropy(logits, torch.tensor([0]))
    >>> sampled = sampled_cross_entropy(
    ...     logits[:, 0], logits[:, 1:], 0.0, torch.zeros(1, 2, dtype=torch.bool)
    ... )
    >>> bool(torch.isclose(full, sampled))
    True
    """
    rivals = (negative_logits + log_weight).masked_fill(excluded, -torch.inf)
    everything = torch.cat([target_logits[:, None], rivals], dim=1)
    return (torch.logsumexp(everything, dim=1) - target_logits).mean()
