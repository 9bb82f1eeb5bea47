"""A configuration as the command line has it: a preset, a file, single options, a split.

Knows nothing about: what the options do, which command takes them.
"""

from __future__ import annotations

from pathlib import Path

from clusterseq.config import Config
from clusterseq.presets import preset as named
from clusterseq.values import from_dict, read_toml


def configuration(
    base: str, file: Path | None, assignments: list[str], split: str | None
) -> Config:
    """A preset, changed by a TOML file, then by single options, then by the split asked for.

    Raises:
        ConfigError: a key is unknown or a value can't be used.
    """
    from clusterseq.overrides import with_assignments

    config = named(base)
    if file is not None:
        config = read_toml(file, base=config)
    config = with_assignments(config, assignments)
    if split is not None:
        config = from_dict(Config, {"data": {"split": split}}, base=config)
    return config
