"""Where tensors are computed: on the processor, or on an accelerator that was asked for by name.

Knows nothing about: models, data.
"""

from __future__ import annotations

import torch

from clusterseq.errors import ConfigError

CPU = torch.device("cpu")
CELLS_ON_AN_ACCELERATOR = 64_000_000
"""Of a matrix that is made in pieces: there memory is fast, and starting a product is not."""


def cells_at_once(device: torch.device, in_a_cache: int) -> int:
    """How large a piece of a matrix should be: on a processor, as its cache holds."""
    return in_a_cache if device.type == "cpu" else CELLS_ON_AN_ACCELERATOR


def device_named(name: str) -> torch.device:
    """The device of that name, once it is known to work.

    An accelerator multiplies single precision in TensorFloat-32 from then on: ten bits of the
    factors' mantissas and all of the sums', for eight times the rate.

    Raises:
        ConfigError: there is no such device, or PyTorch can't reach it.

    >>> device_named("cpu")
    device(type='cpu')
    >>> device_named("gpu")
    Traceback (most recent call last):
    clusterseq.errors.ConfigError: device = 'gpu' can't be used; give cpu, cuda or cuda:1
    """
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdigit()):
        raise ConfigError(f"device = {name!r} can't be used; give cpu, cuda or cuda:1")
    if kind == "cpu":
        return CPU
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(number or 0) >= count:
        reason = f"PyTorch {torch.__version__} finds {count or 'no'} CUDA devices"
        raise ConfigError(
            f"device = {name!r} can't be used: {reason}; install its CUDA build, or give cpu"
        )
    torch.set_float32_matmul_precision("high")
    return torch.device(name)
