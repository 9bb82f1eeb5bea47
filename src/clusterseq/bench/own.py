"""Our own model among its peers: as it is by default, as it was published, and less each part.

Nothing tunes it here but what its training does on the validation users by itself.

Knows nothing about: how the model learns, the other models.
"""

from __future__ import annotations

from collections.abc import Mapping

from clusterseq.baselines.peer import Peer, Setting
from clusterseq.config import Config, Runtime
from clusterseq.judging.scorer import Scorer
from clusterseq.learning.train import fit
from clusterseq.model.ranker import Ranker
from clusterseq.overrides import with_assignments

OWN = "clusterseq"
DEFAULT = "default"
OTHERS: Mapping[str, str] = {
    "small": "Ours, taught by a wider model and served in less time (preset small).",
    "paper": "Ours with the publication's choices (preset paper).",
}
"""What is said of the other presets, whose entries have their names."""
ABLATIONS: Mapping[str, tuple[str, str]] = {
    "members": ("model.members=1", "one transition model instead of several"),
    "pretraining": (
        "train.pretrain_epochs=0 train.meta_epochs=60 train.backbone_rate=1e-3 train.rivals=0 "
        "train.patience=6",
        "trained on tasks alone, as long and as fast as the preset paper",
    ),
    "cosine": ("model.cosine=false", "scores are inner products"),
    "attention": ("model.attention=false", "the last state alone is decoded"),
    "direct": ("model.direct=false", "queries come from the states alone"),
    "clustering": ("model.clustering=false", "nobody is assigned to clusters"),
    "lifts": ("model.lifts=false", "clusters don't speak for items"),
    "meta": ("train.meta_epochs=0", "pre-trained and calibrated, never trained on tasks"),
    "adaptation": ("model.meta=none", "trained on tasks, but without the inner loop"),
    "memory": ("model.memory=false", "without the neighbour memory"),
    "smoothing": ("model.smoothing=0", "items aren't smoothed over the transition graph"),
    "freshness": ("model.freshness=false", "how recent an item's attention is doesn't count"),
}
"""For each part the options that take it away, and what is left."""


def own_configs(presets: Mapping[str, Config]) -> dict[str, Config]:
    """The configuration of each of our entries: the presets, and the default less each part.

    >>> configs = own_configs({"default": Config(), "paper": Config()})
    >>> list(configs)[:3], configs["clusterseq -memory"].model.memory
    (['clusterseq', 'clusterseq-paper', 'clusterseq -members'], False)
    """
    default = presets[DEFAULT]
    named = {f"{OWN}-{name}": config for name, config in presets.items() if name != DEFAULT}
    ablated = {
        f"{OWN} -{part}": with_assignments(default, change.split())
        for part, (change, _) in ABLATIONS.items()
    }
    return {OWN: default, **named, **ablated}


def own_peer(name: str, config: Config) -> Peer:
    """One of our entries as a peer with nothing to tune."""

    def train(setting: Setting) -> Scorer:
        model = fit(
            setting.known,
            setting.validation,
            config,
            n_items=setting.n_items,
            runtime=Runtime(setting.seed, device=str(setting.device)),
        )
        return Ranker(model.on(setting.device))

    return Peer(name, _about(name), train, kind="ours")


def _about(name: str) -> str:
    if name == OWN:
        return "Ours, with the default preset and what --config and --set change."
    preset = name.removeprefix(f"{OWN}-")
    if preset in OTHERS:
        return OTHERS[preset]
    if "=" in name:
        return f"Ours with{name.removeprefix(OWN)}."
    change, left = ABLATIONS[name.removeprefix(f"{OWN} -")]
    return f"Ours with {change}: {left}."
