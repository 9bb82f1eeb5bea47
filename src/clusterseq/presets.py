"""The named configurations: what measured best, the same in small, and what the publication chose.

Knows nothing about: what the options do.
"""

from __future__ import annotations

import types
from collections.abc import Mapping

from clusterseq.config import Config, ModelConfig, TrainConfig
from clusterseq.errors import ConfigError, nearest

PAPER = Config(
    model=ModelConfig(
        members=1,
        dim=256,
        direct=False,
        cosine=False,
        dropout=0.1,
        smoothing=0.0,
        freshness=False,
        memory=False,
        lifts=False,
    ),
    train=TrainConfig(
        tasks_per_batch=1024,
        pretrain_epochs=0,
        meta_epochs=60,
        backbone_rate=1e-3,
        rivals=0,
        patience=6,
    ),
)
SMALL = Config(model=ModelConfig(members=1), train=TrainConfig(teacher_members=4))
PRESETS: Mapping[str, Config] = types.MappingProxyType(
    {"default": Config(), "small": SMALL, "paper": PAPER}
)


def preset(name: str) -> Config:
    """A named configuration.

    ``default`` measured best, ``small`` learns from it and is served in less time, ``paper`` keeps
    the publication's choices.

    Raises:
        ConfigError: no preset has that name.
    """
    if name not in PRESETS:
        raise ConfigError(f'preset "{name}" is unknown; {nearest(name, PRESETS)}')
    return PRESETS[name]
