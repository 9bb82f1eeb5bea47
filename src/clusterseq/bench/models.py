"""The models of the bench by name and group, and what identifies their settings.

Knows nothing about: data sets, how any model works.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clusterseq.baselines.peer import Peer
from clusterseq.baselines.peers import PEERS
from clusterseq.bench.own import own_configs, own_peer
from clusterseq.config import Config, from_dict
from clusterseq.errors import ConfigError

EVERYTHING, OURS = "all", "ours"
GROUPS: Mapping[str, tuple[str, ...]] = {
    "classical": (
        *("popularity", "recent-popularity", "item-knn", "sequence-rules", "session-knn"),
        *("vmis-knn", "stan", "ease", "als", "blend"),
    ),
    "neural": (
        *("gru4rec-full", "gru4rec-sampled", "narm", "sasrec", "gsasrec", "bert4rec", "transrec"),
    ),
    "meta": ("metatl", "metatl-mended", "melu", "mecos"),
}
"""Which peers are of which kind; ours are a group of their own."""


@dataclass(frozen=True, eq=False)
class Model:
    """A peer or one of ours."""

    peer: Peer
    """How it is fitted, and over which grid."""
    group: str
    """classical, neural, meta or ours."""
    config: Config | None = None
    """The configuration, if it is one of ours."""

    @property
    def settings(self) -> dict[str, Any]:
        """All that the user can change about it: our configuration, or the grid."""
        if self.config is None:
            return {name: [repr(value) for value in row] for name, row in self.peer.grid.items()}
        return {name: self.config.to_dict()[name] for name in ("model", "train")}

    @property
    def digest(self) -> str:
        """Changes with the settings, so that results of others aren't taken for its own."""
        return hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()


def catalogue(config: Config, paper: Config) -> dict[str, Model]:
    """Every model by name: the peers in their order, then ours."""
    kinds = {name: group for group, names in GROUPS.items() for name in names}
    peers = {name: Model(peer, kinds.get(name, "classical")) for name, peer in PEERS.items()}
    own = own_configs(config, paper)
    return {
        **peers,
        **{name: Model(own_peer(name, one), OURS, one) for name, one in own.items()},
    }


def choose(words: str, models: Mapping[str, Model]) -> list[str]:
    """The names that ``popularity,neural,…`` stands for, each once, in the order given.

    Raises:
        ConfigError: a word is neither a model nor a group.
    """
    groups = [EVERYTHING, *GROUPS, OURS]
    found: dict[str, None] = {}
    for word in (one.strip() for one in words.split(",")):
        if word in models:
            found[word] = None
        elif word in groups:
            members = [n for n, model in models.items() if word in (EVERYTHING, model.group)]
            if not members:
                raise ConfigError(f"no model is {word} yet; bench --list shows what there is")
            found |= dict.fromkeys(members)
        else:
            close = difflib.get_close_matches(word, [*models, *groups], n=1, cutoff=0.5)
            hint = f'did you mean "{close[0]}"?' if close else "bench --list shows what there is"
            raise ConfigError(f'model "{word}" is unknown; {hint}')
    return list(found)


def peer_named(name: str, config: Mapping[str, Any] | None) -> Peer:
    """The peer of that name; one of ours is known by its configuration.

    Raises:
        ConfigError: the configuration can't be used.
    """
    return PEERS[name] if config is None else own_peer(name, from_dict(Config, config))
