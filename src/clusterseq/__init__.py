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
    from clusterseq.baselines.peer import Peer as Peer
    from clusterseq.baselines.peer import Setting as Setting
    from clusterseq.baselines.popularity import Popularity as Popularity
    from clusterseq.config import Config as Config
    from clusterseq.config import DataConfig as DataConfig
    from clusterseq.config import ModelConfig as ModelConfig
    from clusterseq.config import Runtime as Runtime
    from clusterseq.config import TrainConfig as TrainConfig
    from clusterseq.data.dataset import Dataset as Dataset
    from clusterseq.data.exchange import export_events as export_events
    from clusterseq.data.exchange import rectools_frame as rectools_frame
    from clusterseq.data.histories import Histories as Histories
    from clusterseq.data.prepare import PrepareSummary as PrepareSummary
    from clusterseq.data.prepare import prepare_dataset as prepare_dataset
    from clusterseq.data.split import Split as Split
    from clusterseq.data.split import split_users as split_users
    from clusterseq.errors import CheckpointError as CheckpointError
    from clusterseq.errors import ClusterSeqError as ClusterSeqError
    from clusterseq.errors import ConfigError as ConfigError
    from clusterseq.errors import DataError as DataError
    from clusterseq.errors import TrainingError as TrainingError
    from clusterseq.judging.evaluate import Evaluation as Evaluation
    from clusterseq.judging.evaluate import evaluate as evaluate
    from clusterseq.judging.metrics import metrics_of_ranks as metrics_of_ranks
    from clusterseq.judging.metrics import paired_test as paired_test
    from clusterseq.judging.scorer import Scorer as Scorer
    from clusterseq.learning.checkpoint import Checkpoint as Checkpoint
    from clusterseq.learning.checkpoint import load_checkpoint as load_checkpoint
    from clusterseq.learning.checkpoint import save_checkpoint as save_checkpoint
    from clusterseq.learning.provenance import Provenance as Provenance
    from clusterseq.learning.train import fit as fit
    from clusterseq.model.clusterseq import ClusterSeq as ClusterSeq
    from clusterseq.model.ranker import Ranker as Ranker
    from clusterseq.presets import preset as preset
    from clusterseq.reading.events import Events as Events
    from clusterseq.reading.events import read_events as read_events
    from clusterseq.reading.vocab import Vocabulary as Vocabulary
    from clusterseq.service.store.protocol import Event as Event
    from clusterseq.service.store.protocol import HistoryStore as HistoryStore
    from clusterseq.service.store.protocol import Retention as Retention
    from clusterseq.using.batch import BatchSummary as BatchSummary
    from clusterseq.using.batch import recommend_file as recommend_file
    from clusterseq.using.comparison import Comparison as Comparison
    from clusterseq.using.estimator import Estimator as Estimator
    from clusterseq.using.evaluation import evaluate_checkpoint as evaluate_checkpoint
    from clusterseq.using.evaluation import split_of_training as split_of_training
    from clusterseq.using.experiment import Experiment as Experiment
    from clusterseq.using.recommendations import Because as Because
    from clusterseq.using.recommendations import Recommendation as Recommendation
    from clusterseq.using.recommendations import Recommendations as Recommendations
    from clusterseq.using.recommendations import Why as Why
    from clusterseq.using.recommender import Recommender as Recommender
    from clusterseq.using.storage import pull_model as pull_model
    from clusterseq.using.storage import push_model as push_model
    from clusterseq.using.update import Update as Update
    from clusterseq.using.update import update_checkpoint as update_checkpoint
    from clusterseq.values import read_toml as read_toml

_HOMES = {
    "using.batch": ("BatchSummary", "recommend_file"),
    "learning.checkpoint": ("Checkpoint", "load_checkpoint", "save_checkpoint"),
    "using.comparison": ("Comparison",),
    "config": ("Config", "DataConfig", "ModelConfig", "Runtime", "TrainConfig"),
    "data.dataset": ("Dataset",),
    "errors": (
        "CheckpointError",
        "ClusterSeqError",
        "ConfigError",
        "DataError",
        "TrainingError",
    ),
    "using.estimator": ("Estimator",),
    "baselines.peer": ("Peer", "Setting"),
    "baselines.popularity": ("Popularity",),
    "data.histories": ("Histories",),
    "judging.evaluate": ("Evaluation", "evaluate"),
    "judging.metrics": ("metrics_of_ranks", "paired_test"),
    "judging.scorer": ("Scorer",),
    "model.ranker": ("Ranker",),
    "service.store.protocol": ("Event", "HistoryStore", "Retention"),
    "reading.events": ("Events", "read_events"),
    "data.exchange": ("export_events", "rectools_frame"),
    "using.evaluation": ("evaluate_checkpoint", "split_of_training"),
    "using.experiment": ("Experiment",),
    "model.clusterseq": ("ClusterSeq",),
    "data.prepare": ("PrepareSummary", "prepare_dataset"),
    "presets": ("preset",),
    "learning.provenance": ("Provenance",),
    "using.recommendations": ("Because", "Recommendation", "Recommendations", "Why"),
    "using.recommender": ("Recommender",),
    "data.split": ("Split", "split_users"),
    "learning.train": ("fit",),
    "using.storage": ("pull_model", "push_model"),
    "using.update": ("Update", "update_checkpoint"),
    "values": ("read_toml",),
    "reading.vocab": ("Vocabulary",),
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
