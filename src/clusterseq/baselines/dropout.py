"""Dropout by an explicit generator.

Knows nothing about: networks.
"""

from __future__ import annotations

import torch
from torch import Tensor


def dropped(values: Tensor, share: float, generator: torch.Generator | None) -> Tensor:
    """Inverted dropout; without a generator, the values as they are.

    ``nn.Dropout`` draws from the process's generator, which would tie a training to whatever ran
    before it.
    """
    if generator is None or share == 0:
        return values
    mask = torch.rand(values.shape, generator=generator, device=values.device) >= share
    return values * mask / (1 - share)
