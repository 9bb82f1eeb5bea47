"""The models of the bench by name and group, and what identifies their settings.

Peers that installed packages bring (``extensions``) stand behind our own.

Knows nothing about: data sets, how any model works.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from clusterseq.baselines.peer import Kind, Peer
from clusterseq.baselines.peers import PEERS
from clusterseq.bench.own import DEFAULT, OWN, own_configs, own_peer
from clusterseq.config import Config
from clusterseq.errors import ConfigError, nearest
from clusterseq.extensions import extension, extensions
from clusterseq.overrides import with_assignments
from clusterseq.values import saved_config

EVERYTHING = "all"
GROUPS = frozenset((EVERYTHING, *get_args(Kind)))


@dataclass(frozen=True, eq=False)
class Model:
    """A peer or one of ours."""

    peer: Peer
    """How it is fitted, and over which grid."""
    config: Config | None = None
    """The configuration, if it is one of ours."""
    origin: str | None = None
    """The package and version that brings it, if one does."""

    @property
    def group(self) -> str:
        """classical, neural, meta or ours."""
        return self.peer.kind

    @property
    def settings(self) -> dict[str, Any]:
        """All that the user can change about it: our configuration, or the grid."""
        if self.config is None:
            grid = {name: [*map(_written, row)] for name, row in self.peer.grid.items()}
            return grid if self.origin is None else {"package": self.origin, "grid": grid}
        return {name: self.config.to_dict()[name] for name in ("model", "train")}

    @property
    def digest(self) -> str:
        """Changes with the settings, so that results of others aren't taken for its own."""
        return hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()


def catalogue(
    presets: Mapping[str, Config], words: Collection[str] = (EVERYTHING,)
) -> dict[str, Model]:
    """Models by name: the peers in their order, those of packages, then ours by preset.

    Of the packages only those are loaded that one of the words names, by itself or by a group.

    Raises:
        ConfigError: a package brings something that is no peer, or can't be loaded.
    """
    configs = own_configs(presets).items()
    named, grouped = set(words), not GROUPS.isdisjoint(words)
    packaged = dict.fromkeys(package.name for package in extensions("baselines"))
    loaded = [name for name in packaged if name not in PEERS and (grouped or name in named)]
    return {
        **{name: Model(peer) for name, peer in PEERS.items()},
        **{name: _from_package(name) for name in loaded},
        **{name: Model(own_peer(name, config), config) for name, config in configs},
    }


def chosen(words: Iterable[str], presets: Mapping[str, Config]) -> dict[str, Model]:
    """The models by the names that some words stand for, each once, in the order given.

    A word is a model, a group of them, or ours with options changed: ``clusterseq model.dim=64``.

    Raises:
        ConfigError: a word is none of these.
    """
    words = [word.strip() for word in words]
    entries, models = catalogue(presets, words), dict[str, Model]()
    default = presets[DEFAULT]
    for word in words:
        if word.startswith(f"{OWN} ") and "=" in word:
            changed = with_assignments(default, word.split()[1:])
            name = OWN if changed == default else word  # what changes nothing is the model itself
            models[name] = Model(own_peer(name, changed), changed)
        else:
            models |= {name: entries[name] for name in choose(word, entries)}
    return models


def choose(word: str, models: Mapping[str, Model]) -> list[str]:
    """The model of that name, or those of that group.

    Raises:
        ConfigError: the word is neither a model nor a group.
    """
    if word in models:
        return [word]
    if word in GROUPS:
        return [name for name, model in models.items() if word in (EVERYTHING, model.group)]
    hint = nearest(word, [*models, *GROUPS], otherwise="bench --list shows what there is")
    raise ConfigError(f'model "{word}" is unknown; {hint}')


def peer_named(name: str, config: Mapping[str, Any] | None) -> Peer:
    """The peer of that name; one of ours is known by its configuration.

    Raises:
        ConfigError: the configuration can't be used, or the package of a peer is gone.
    """
    if config is not None:
        return own_peer(name, saved_config(config))
    return PEERS[name] if name in PEERS else _from_package(name).peer


def _written(value: Any) -> str:
    """A value of a grid as every process writes it: a function's place in memory says nothing."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def _from_package(name: str) -> Model:
    """The peer of a package, under the name that it declares."""
    package = extension("baselines", name)
    if package is None:
        raise ConfigError(
            f'model "{name}" is unknown; install the package that brings it', code="extension"
        )
    peer = package.load()
    if not isinstance(peer, Peer):
        raise package.refused(f"is of type {type(peer).__name__}, not Peer")
    return Model(dataclasses.replace(peer, name=name), origin=package.origin)
