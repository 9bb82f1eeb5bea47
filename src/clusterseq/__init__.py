"""Next-item recommendation for people never seen, from the first few things they touch.

    import clusterseq

    recommender = clusterseq.Recommender.load("my-model")
    recommender.recommend(["milk", "bread"], k=5)

Everything is imported where it is first used, so that neither this line nor the command line waits
for the tensor library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clusterseq.batch import BatchSummary, recommend_file
    from clusterseq.checkpoint import Checkpoint, Provenance, load_checkpoint, save_checkpoint
    from clusterseq.comparison import Comparison
    from clusterseq.config import (
        Config,
        DataConfig,
        ModelConfig,
        Runtime,
        TrainConfig,
        preset,
        read_toml,
    )
    from clusterseq.dataset import Dataset
    from clusterseq.errors import (
        CheckpointError,
        ClusterSeqError,
        ConfigError,
        DataError,
        TrainingError,
    )
    from clusterseq.evaluate import Evaluation
    from clusterseq.events import Events, read_events
    from clusterseq.experiment import Experiment, evaluate_checkpoint
    from clusterseq.model.clusterseq import ClusterSeq
    from clusterseq.recommender import Recommendation, Recommendations, Recommender
    from clusterseq.split import Split, split_users
    from clusterseq.train import fit
    from clusterseq.vocab import Vocabulary

_HOMES = {
    "batch": ("BatchSummary", "recommend_file"),
    "checkpoint": ("Checkpoint", "Provenance", "load_checkpoint", "save_checkpoint"),
    "comparison": ("Comparison",),
    "config": (
        *("Config", "DataConfig", "ModelConfig", "Runtime", "TrainConfig"),
        *("preset", "read_toml"),
    ),
    "dataset": ("Dataset",),
    "errors": (
        *("CheckpointError", "ClusterSeqError", "ConfigError", "DataError", "TrainingError"),
    ),
    "evaluate": ("Evaluation",),
    "events": ("Events", "read_events"),
    "experiment": ("Experiment", "evaluate_checkpoint"),
    "model.clusterseq": ("ClusterSeq",),
    "recommender": ("Recommendation", "Recommendations", "Recommender"),
    "split": ("Split", "split_users"),
    "train": ("fit",),
    "vocab": ("Vocabulary",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [  # noqa: PLE0604
    "BatchSummary",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("clusterseq")
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF})
