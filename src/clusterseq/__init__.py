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
    from clusterseq.batch import BatchSummary as BatchSummary
    from clusterseq.batch import recommend_file as recommend_file
    from clusterseq.checkpoint import Checkpoint as Checkpoint
    from clusterseq.checkpoint import Provenance as Provenance
    from clusterseq.checkpoint import load_checkpoint as load_checkpoint
    from clusterseq.checkpoint import save_checkpoint as save_checkpoint
    from clusterseq.comparison import Comparison as Comparison
    from clusterseq.config import Config as Config
    from clusterseq.config import DataConfig as DataConfig
    from clusterseq.config import ModelConfig as ModelConfig
    from clusterseq.config import Runtime as Runtime
    from clusterseq.config import TrainConfig as TrainConfig
    from clusterseq.config import read_toml as read_toml
    from clusterseq.dataset import Dataset as Dataset
    from clusterseq.errors import CheckpointError as CheckpointError
    from clusterseq.errors import ClusterSeqError as ClusterSeqError
    from clusterseq.errors import ConfigError as ConfigError
    from clusterseq.errors import DataError as DataError
    from clusterseq.errors import TrainingError as TrainingError
    from clusterseq.estimator import Estimator as Estimator
    from clusterseq.evaluate import Evaluation as Evaluation
    from clusterseq.events import Events as Events
    from clusterseq.events import read_events as read_events
    from clusterseq.exchange import export_events as export_events
    from clusterseq.exchange import rectools_frame as rectools_frame
    from clusterseq.experiment import Experiment as Experiment
    from clusterseq.experiment import evaluate_checkpoint as evaluate_checkpoint
    from clusterseq.model.clusterseq import ClusterSeq as ClusterSeq
    from clusterseq.prepare import PrepareSummary as PrepareSummary
    from clusterseq.prepare import prepare_dataset as prepare_dataset
    from clusterseq.presets import preset as preset
    from clusterseq.recommendations import Recommendation as Recommendation
    from clusterseq.recommendations import Recommendations as Recommendations
    from clusterseq.recommendations import Why as Why
    from clusterseq.recommender import Recommender as Recommender
    from clusterseq.split import Split as Split
    from clusterseq.split import split_users as split_users
    from clusterseq.train import fit as fit
    from clusterseq.update import Update as Update
    from clusterseq.update import update_checkpoint as update_checkpoint
    from clusterseq.vocab import Vocabulary as Vocabulary

_HOMES = {
    "batch": ("BatchSummary", "recommend_file"),
    "checkpoint": ("Checkpoint", "Provenance", "load_checkpoint", "save_checkpoint"),
    "comparison": ("Comparison",),
    "config": ("Config", "DataConfig", "ModelConfig", "Runtime", "TrainConfig", "read_toml"),
    "dataset": ("Dataset",),
    "errors": (
        *("CheckpointError", "ClusterSeqError", "ConfigError", "DataError", "TrainingError"),
    ),
    "estimator": ("Estimator",),
    "evaluate": ("Evaluation",),
    "events": ("Events", "read_events"),
    "exchange": ("export_events", "rectools_frame"),
    "experiment": ("Experiment", "evaluate_checkpoint"),
    "model.clusterseq": ("ClusterSeq",),
    "prepare": ("PrepareSummary", "prepare_dataset"),
    "presets": ("preset",),
    "recommendations": ("Recommendation", "Recommendations", "Why"),
    "recommender": ("Recommender",),
    "split": ("Split", "split_users"),
    "train": ("fit",),
    "update": ("Update", "update_checkpoint"),
    "vocab": ("Vocabulary",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [*_HOME_OF]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("clusterseq")
        except PackageNotFoundError:
            return "not installed"
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF})
