"""A study: a question, the models that answer it, and on which data, as one TOML file each.

Knows nothing about: how models are trained, how results are shown.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from clusterseq.bench.datasets import SPLITS
from clusterseq.bench.models import chosen
from clusterseq.checks import shown, whole
from clusterseq.errors import ConfigError, nearest
from clusterseq.judging.evaluate import RANKINGS
from clusterseq.presets import PRESETS

HOME = "clusterseq.experiments"
REQUIRED = {"title": str, "question": str, "axis": str, "seeds": list, "k": list, "data": list}


@dataclass(frozen=True)
class Study:
    """What is asked, and how it is answered."""

    name: str
    """Its name on the command line."""
    title: str
    question: str
    """What it asks, in a few sentences."""
    axis: str
    """What tells the models apart."""
    models: Mapping[str, str]
    """For each label the model, as the bench calls it."""
    data: Sequence[str]
    """Names of data sets with their splits."""
    seeds: Sequence[int]
    k: Sequence[int]
    """Support items of the newcomers."""
    ranking: str = "full"
    """The ranking whose MRR is drawn: full or sampled."""
    reading: str = ""
    """What the figures of ours say, once there are some."""

    @property
    def entries(self) -> dict[str, str]:
        """For each label the model's name in results: one that changes nothing is the default.

        Raises:
            ConfigError: a model is unknown, or a label stands for several.
        """
        return {label: self._entry(label, model) for label, model in self.models.items()}

    @property
    def numeric(self) -> bool:
        """Whether the labels are numbers, which have an order and distances."""
        return all(label.isdigit() for label in self.models)

    def _entry(self, label: str, model: str) -> str:
        """The name of one label's model; of several the others would be computed and not shown."""
        entries = list(chosen([model], PRESETS))
        if len(entries) > 1:
            raise ConfigError(
                f'{self.name}: model "{model}" is {len(entries)} models; give "{label}" one of them'
            )
        return entries[0]


def names() -> list[str]:
    """The studies that come along.

    >>> "clusters" in names()
    True
    """
    entries = resources.files(HOME).iterdir()
    return sorted(e.name.removesuffix(".toml") for e in entries if e.name.endswith(".toml"))


def read_study(name: str) -> Study:
    """The study of that name, or in the TOML file of that name.

    Raises:
        ConfigError: there is none, or the file lacks something or holds something unknown.
    """
    if name in names():
        content = resources.files(HOME).joinpath(f"{name}.toml").read_bytes()
    elif name.endswith(".toml") and Path(name).is_file():
        content = Path(name).read_bytes()
    else:
        raise ConfigError(f'experiment "{name}" is unknown; {nearest(name, names())}')
    try:
        values = tomllib.loads(content.decode("utf-8"))
    except ValueError as error:  # of characters, too
        raise ConfigError(f"{name}: not TOML ({error}); mend that line") from error
    return _study(Path(name).stem, name, values)


def _study(name: str, source: str, values: dict[str, Any]) -> Study:
    kinds = {**REQUIRED, "models": dict, "ranking": str, "reading": str}
    unknown = sorted(set(values) - set(kinds))
    if unknown:
        raise ConfigError(f'{source}: "{unknown[0]}" is unknown; known are {", ".join(kinds)}')
    for key, kind in kinds.items():
        missing = key in (*REQUIRED, "models") and key not in values
        if missing or not isinstance(values.get(key, kind()), kind):
            raise ConfigError(f'{source}: "{key}" is missing or not a {kind.__name__}; add it')
        if kind in (list, dict) and not values[key]:
            raise ConfigError(f'{source}: "{key}" is empty; give one or more')
    if values.get("ranking", "full") not in RANKINGS:
        raise ConfigError(f'{source}: ranking "{values["ranking"]}" is neither full nor sampled')
    for key in ("seeds", "k"):
        numbers = [whole(f"{source}: {key}", number) for number in values[key]]
        values[key] = list(dict.fromkeys(numbers))
    for text in values["data"]:
        if not isinstance(text, str) or text.rpartition(":")[2] not in SPLITS:
            raise ConfigError(f"{source}: data {shown(text)} names no split; write NAME:temporal")
    for label, model in values["models"].items():
        if not isinstance(model, str):
            raise ConfigError(f"{source}: model {shown(model)} is no text; name {label}'s model")
    return Study(name=name, **values)
