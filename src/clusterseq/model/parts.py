"""The parts of the model that can be others than ours, each built here by the name in its options.

A part is a ``torch.nn.Module``, so that it is trained, saved and moved with the rest; it draws what
it draws from the generator that it is built with. What else it promises is written down as tests
(``clusterseq.testing``).

Knows nothing about: who calls the parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from clusterseq.config import ModelConfig
from clusterseq.errors import ConfigError, nearest
from clusterseq.extensions import Extension, Kind, extension, extensions
from clusterseq.model.clustering import KAutoencoders
from clusterseq.model.conditioning import Gates
from clusterseq.model.gru import GRU

OURS: Mapping[Kind, Mapping[str, type[nn.Module]]] = {
    "encoders": {"gru": GRU},
    "conditioners": {"gates": Gates},
    "clusterers": {"autoencoders": KAutoencoders},
}


@runtime_checkable
class Encoder(Protocol):
    """Reads histories; several members side by side, which never exchange anything."""

    def __call__(
        self, inputs: Float[Tensor, "members items dim"], sizes: Sequence[int]
    ) -> Float[Tensor, "members items dim"]:
        """The state after each item, which has read that one and the same person's before it.

        Items are packed (``Packing``): all first ones, then all second ones, …. ``sizes`` says how
        many people have a first, a second, …; those who have one are the first of those before.
        """
        ...


@runtime_checkable
class Conditioner(Protocol):
    """Lets clusters say where somebody's adaptation starts."""

    def __call__(
        self, start: Float[Tensor, " size"], shares: Float[Tensor, "users clusters"]
    ) -> Float[Tensor, "users size"]:
        """Everybody's own start, from the common one and their shares of the clusters."""
        ...


@runtime_checkable
class Clusterer(Protocol):
    """Says what kind of person somebody is, from what represents them."""

    def __call__(self, people: Float[Tensor, "users dim"]) -> Float[Tensor, "users clusters"]:
        """How much each person belongs to each cluster; everybody's shares sum to 1."""
        ...

    def errors(self, people: Float[Tensor, "users dim"]) -> Float[Tensor, "users clusters"]:
        """How badly each cluster fits each person, which training makes less where they belong."""
        ...

    def assigned(self, errors: Float[Tensor, "users clusters"]) -> Float[Tensor, "users clusters"]:
        """The shares that such errors mean."""
        ...

    def start(self, people: Float[Tensor, "users dim"], generator: torch.Generator) -> None:
        """Settle among known people, once before training."""
        ...

    def revive(self, people: Float[Tensor, "users dim"]) -> int:
        """Put clusters to use that nearly nobody is in; how many there were."""
        ...


def encoder_of(config: ModelConfig, generator: torch.Generator) -> Encoder:
    """The encoder that the options name, built with ``(members, dim, generator)``.

    Raises:
        ConfigError: nothing that is installed has that name, or it is no encoder.

    >>> sorted(vars(encoder_of(ModelConfig(dim=8), torch.Generator()))["_parameters"])
    ['input_bias', 'input_weight', 'state_bias', 'state_weight']
    """
    encoder: Encoder = _built(
        "encoders", config.encoder, Encoder, config.members, config.dim, generator
    )
    return encoder


def conditioner_of(config: ModelConfig, size: int, generator: torch.Generator) -> Conditioner:
    """The conditioner that the options name, built with ``(clusters, width, size, generator)``.

    Raises:
        ConfigError: nothing that is installed has that name, or it is no conditioner.
    """
    sizes = config.clusters, config.cluster_dim, size
    conditioner: Conditioner = _built(
        "conditioners", config.conditioner, Conditioner, *sizes, generator
    )
    return conditioner


def clusterer_of(config: ModelConfig, generator: torch.Generator) -> Clusterer:
    """The clusterer that the options name, built with ``(clusters, dim, bottleneck, *, temperature,
    generator)``.

    Raises:
        ConfigError: nothing that is installed has that name, or it is no clusterer.
    """
    sizes = config.clusters, config.width, config.bottleneck
    scale = config.cluster_temperature
    clusterer: Clusterer = _built(
        "clusterers", config.clusterer, Clusterer, *sizes, temperature=scale, generator=generator
    )
    return clusterer


def require_parts(config: ModelConfig) -> None:
    """Refuse a part that nothing here has, before minutes are spent on a model.

    Raises:
        ConfigError: nothing that is installed has a name among the options.
    """
    _entry("encoders", config.encoder)
    _entry("clusterers", config.clusterer)
    _entry("conditioners", config.conditioner)


def _built(kind: Kind, name: str, protocol: Any, *arguments: Any, **options: Any) -> Any:
    entry = _entry(kind, name)
    if entry is None:
        return OURS[kind][name](*arguments, **options)
    try:
        part = entry.load()(*arguments, **options)
    except TypeError as error:
        raise entry.refused(f"can't be built ({error})") from error
    if not isinstance(part, nn.Module) or not isinstance(part, protocol):
        raise entry.refused(f"builds {type(part).__name__}, which is no {protocol.__name__}")
    return part


def _entry(kind: Kind, name: str) -> Extension | None:
    """What brings a part; None if it is ours."""
    if name in OURS[kind]:
        return None
    entry = extension(kind, name)
    if entry is None:
        known = {*OURS[kind], *(installed.name for installed in extensions(kind))}
        raise ConfigError(
            f'{kind[:-1]} "{name}" is unknown here; {nearest(name, dict.fromkeys(sorted(known)))} '
            f"(other {kind} come with packages, which have to be installed)",
            code="extension",
        )
    return entry
