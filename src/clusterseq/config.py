"""Every option of data, model and training, typed, documented and closed.

The same frozen dataclasses serve the Python API, the command line and TOML files. Machine settings
(``Runtime``) stand apart, because they must not change a result's meaning.

Knows nothing about: how options are written, tensors, files of events, what the options do.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from clusterseq.checks import require, typed, unwrapped

MetaOrder: TypeAlias = Literal["second", "first", "none"]
SplitKind: TypeAlias = Literal["temporal", "random", "none"]
OUR_PARTS = {"encoder": "gru", "clusterer": "autoencoders", "conditioner": "gates"}
"""Options of the model that name a part, and the part that is ours."""
LATER: Mapping[str, Mapping[str, Any]] = {
    "model": {**OUR_PARTS, "lifts": False},
    "train": {"leave_out": False, "mutual_share": 0.0, "teacher_members": 0, "teacher_dim": 128},
}
"""Options added later, each with the value that keeps what was so before; at that value ``to_dict``
leaves them out, so that digests of older configurations stay what they were."""


def _require_sense(options: Any) -> None:
    """Refuse what a field doesn't take; what stands for a plain number becomes one.

    Checked here and not in the training: a model that was trained under 2.0 epochs can't be loaded.
    """
    for name, kind in typing.get_type_hints(type(options)).items():
        value = typed(kind, name, unwrapped(kind, getattr(options, name)))
        object.__setattr__(options, name, value)  # frozen for everybody else


def _require_least(least: int, options: Any, *names: str) -> None:
    for name in names:
        value = getattr(options, name)
        require(value >= least, name, value, f"{least} or more")


@dataclass(frozen=True)
class DataConfig:
    """Which events are used, and who is known and who is new."""

    split: SplitKind = "temporal"
    """How users are split: by the time of their first event, by a draw, or everybody is known."""
    new_share: float = 0.2
    """Share of the users that are new."""
    validation_share: float = 0.3
    """Share of the new users that serve model selection; the rest is test."""
    min_user_events: int = 1
    """Users with fewer events are dropped before the split."""
    min_item_events: int = 1
    """Items with fewer events are dropped before the split."""
    k_core: int = 0
    """Repeat both filters until everybody and everything has this many events (0: off)."""

    def __post_init__(self) -> None:
        _require_sense(self)
        require(0 < self.new_share < 1, "new_share", self.new_share, "between 0 and 1")
        share = self.validation_share
        require(0 < share < 1, "validation_share", share, "between 0 and 1")
        _require_least(0, self, "min_user_events", "min_item_events", "k_core")


@dataclass(frozen=True)
class ModelConfig:
    """The network: numbers only, so that a model is built without any data."""

    n_items: int = 1
    """Size of the catalogue; training sets it."""
    members: int = 4
    """Transition models side by side, each with its own embeddings; their scores are averaged."""
    dim: int = 128
    """Width of a member's embeddings and hidden states."""
    max_steps: int = 20
    """How many of a person's newest items are read."""
    encoder: str = "gru"
    """What reads a history: gru, or what a package brings (docs/extending.md)."""
    attention: bool = True
    """Decode with attention over all encoder states (section 3.2.3); else the last state alone."""
    direct: bool = True
    """Let the items' own vectors reach the query beside the states that were read from them."""
    cosine: bool = True
    """Score by scaled cosine; else by inner product."""
    scale: float = 10.0
    """Scale of the cosine, the inverse of a softmax temperature."""
    dropout: float = 0.5
    """Share of the inputs and states dropped in training."""
    smoothing: float = 0.7
    """Share of an item's vector taken from its neighbours in the transition graph (0: off)."""
    freshness: bool = True
    """Add a term for how recent an item's events are."""
    memory: bool = True
    """Blend in what people with the same items did next (the neighbour memory)."""
    clustering: bool = True
    """Assign people to clusters by autoencoders (section 3.2.4)."""
    clusterer: str = "autoencoders"
    """Which module assigns people to clusters: autoencoders, or one that a package brings."""
    clusters: int = 8
    """Number of autoencoders."""
    cluster_dim: int = 16
    """Width of the cluster embeddings."""
    bottleneck: int = 2
    """Width of the autoencoders' bottleneck: wide ones can't tell clusters apart."""
    cluster_temperature: float = 0.1
    """Temperature of the soft assignment: smaller is harder."""
    lifts: bool = True
    """Let clusters speak for what their people touch more than others do (needs clustering)."""
    conditioning: bool = True
    """Let the cluster gate and shift the parameters that adapt (needs clustering)."""
    conditioner: str = "gates"
    """Which module conditions on the clusters: gates (and shifts), or one that a package brings."""
    meta: MetaOrder = "second"
    """Adapt by gradient steps (section 3.2.5), trained by second or first order, or not at all."""
    inner_steps: int = 3
    """Gradient steps of the inner loop."""
    inner_rate: float = 0.02
    """Start of the learnt step sizes; 0 where newcomers are much worse off by it."""
    anchors: int = 128
    """Items that the inner loop contrasts with those touched; at most the catalogue."""

    def __post_init__(self) -> None:
        _require_sense(self)
        _require_least(1, self, "n_items", "members", "dim", "max_steps", "anchors")
        _require_least(1, self, "clusters", "cluster_dim", "bottleneck")
        _require_least(0, self, "inner_steps")
        require(0 <= self.dropout < 1, "dropout", self.dropout, "0 or more and below 1")
        require(0 <= self.smoothing <= 1, "smoothing", self.smoothing, "between 0 and 1")
        require(self.scale > 0, "scale", self.scale, "above 0")
        require(
            self.cluster_temperature > 0, "cluster_temperature", self.cluster_temperature, "above 0"
        )

    @property
    def width(self) -> int:
        """Width of the embeddings of all members together."""
        return self.members * self.dim

    @property
    def conditioned(self) -> bool:
        """Whether clusters gate the adaptable parameters; without clusters nothing can."""
        return self.clustering and self.conditioning

    @property
    def lifted(self) -> bool:
        """Whether clusters speak for items; without clusters nothing can."""
        return self.clustering and self.lifts

    @property
    def adapts(self) -> bool:
        """Whether the inner loop exists at all."""
        return self.steps_taken > 0

    @property
    def steps_taken(self) -> int:
        """Steps of the inner loop, which there is none of without meta-learning."""
        return 0 if self.meta == "none" else self.inner_steps


@dataclass(frozen=True)
class TrainConfig:
    """How the network is trained: all prefixes first, then tasks."""

    pretrain_epochs: int = 6
    """Passes over all prefixes of the known users."""
    sequences_per_batch: int = 256
    """Most windows in a batch of pre-training; of small data a 25th, but for 32 at least."""
    learning_rate: float = 7e-3
    """Rate of pre-training, before its warm-up and cosine."""
    weight_decay: float = 0.0
    """Decoupled weight decay of both stages."""
    window: int = 10
    """Longest window of a sequence that pre-training reads at once."""
    rivals: int = 2048
    """Items in the softmax of both stages: a batch's targets and others drawn (0: all items)."""
    fast_softmax: bool = True
    """Multiply that softmax in bfloat16, where the processor can."""
    leave_out: bool = False
    """Smooth items without the transitions of the windows at hand: a newcomer's aren't there."""
    mutual_share: float = 0.0
    """Share of what all members expect in what pre-training teaches each; not with a teacher."""
    teacher_members: int = 0
    """Members of a model that is trained first, whose scores pre-training learns (0: events)."""
    teacher_dim: int = 128
    """Width of each of those members."""
    meta_epochs: int = 3
    """Passes of meta-training, each with one task of every known user."""
    tasks_per_batch: int = 256
    """Users in a meta-batch."""
    meta_learning_rate: float = 5e-4
    """Rate of meta-training for what it alone trains (clusters, conditioning, step sizes)."""
    backbone_rate: float = 0.0
    """Rate of meta-training for what pre-training has trained already (0: it stays)."""
    support: int = 3
    """Most support items of a training task; each task draws 1 … this many."""
    cluster_weight: float = 0.1
    """Weight λ of the clustering loss beside the query loss."""
    balance_weight: float = 0.1
    """Weight of the entropy of cluster sizes in the clustering loss."""
    folds: int = 5
    """Parts of the known users; nobody is trained with a memory that holds their own sequence."""
    clip: float = 5.0
    """Largest norm of a gradient."""
    patience: int = 2
    """Epochs in a row that newcomers find too bad to be kept, after which a stage ends."""

    def __post_init__(self) -> None:
        _require_sense(self)
        _require_least(1, self, "sequences_per_batch", "window", "tasks_per_batch", "support")
        _require_least(1, self, "patience", "teacher_dim")
        _require_least(0, self, "pretrain_epochs", "meta_epochs", "rivals", "teacher_members")
        share = self.mutual_share
        require(0 <= share < 1, "mutual_share", share, "0 or more and below 1")
        _require_least(2, self, "folds")
        _require_least(0, self, "learning_rate", "meta_learning_rate", "backbone_rate")
        _require_least(0, self, "weight_decay", "cluster_weight", "balance_weight")
        require(self.clip > 0, "clip", self.clip, "above 0")

    @property
    def taught(self) -> bool:
        """Whether pre-training learns from a teacher."""
        return self.teacher_members > 0 and self.pretrain_epochs > 0


@dataclass(frozen=True)
class Config:
    """All that decides what a model becomes, but for the events and the machine."""

    data: DataConfig = field(default_factory=DataConfig)
    """Filters and split."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """The network."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """The two stages of training."""

    def __post_init__(self) -> None:
        _require_sense(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain nested dictionaries, as JSON and TOML hold them.

        An option that came later isn't named where it changes nothing: what was saved and digested
        before stays what it is.
        """
        values = dataclasses.asdict(self)
        for table, former in LATER.items():
            for name, value in former.items():
                if values[table][name] == value:
                    del values[table][name]
        return values


@dataclass(frozen=True)
class Runtime:
    """Settings of the machine and the run."""

    seed: int = 0
    """Seed of every draw: split, initialisation, batches, dropout."""
    threads: int = 0
    """Threads of the tensor library (0: its own choice)."""
    device: str = "cpu"
    """Where the training computes: cpu, cuda or cuda:1. The model is saved for any."""
    shard_items: bool = False
    """Whether several processes share out the rows of the item table that they pre-train."""

    def __post_init__(self) -> None:
        _require_sense(self)
        _require_least(0, self, "seed", "threads")
