"""Fit and recommend by the conventions of scikit-learn, from data frame to data frame.

Knows nothing about: how a model learns, how recommendations come about.
"""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl

from clusterseq.config import Config, Runtime
from clusterseq.errors import ConfigError, nearest
from clusterseq.learning.checkpoint import save_checkpoint
from clusterseq.presets import preset as preset_named
from clusterseq.reading.events import Events, read_events
from clusterseq.reading.sources import Source
from clusterseq.using.batch import recommend_file
from clusterseq.using.evaluation import evaluate_checkpoint
from clusterseq.using.experiment import Experiment
from clusterseq.using.recommender import Recommender
from clusterseq.values import from_dict


class Estimator:
    """A model that ``fit`` trains on everybody in a table of events.

    It keeps scikit-learn's conventions and doesn't need scikit-learn: parameters are kept as they
    are given, ``clone`` and ``set_params`` work, what is learnt ends in an underscore.

    >>> estimator = Estimator(options={"model.dim": 16}, seed=3)
    >>> estimator.set_params(k=5)
    Estimator(k=5, options={'model.dim': 16}, seed=3)
    """

    def __init__(
        self,
        *,
        preset: str = "default",
        options: Mapping[str, Any] | None = None,
        k: int = 10,
        filter_seen: bool = True,
        seed: int = 0,
        threads: int = 0,
        user_column: str | None = None,
        item_column: str | None = None,
        time_column: str | None = None,
        skip_bad: bool = False,
    ) -> None:
        """Keep the parameters; nothing is looked at before ``fit``.

        Args:
            preset: ``default``, ``small`` or ``paper``.
            options: what differs from it, such as ``{"model.dim": 64}`` (docs/configuration.md).
            k: how many items ``recommend`` gives to each person.
            filter_seen: whether it leaves out what is in the person's own history.
            seed: of every random draw.
            threads: of the tensor library; 0 leaves the choice to it.
            user_column: where users stand, if that isn't recognised; likewise items and times.
            skip_bad: pass over rows that can't be used; else the first is an error.
        """
        self.preset = preset
        self.options = options
        self.k = k
        self.filter_seen = filter_seen
        self.seed = seed
        self.threads = threads
        self.user_column = user_column
        self.item_column = item_column
        self.time_column = time_column
        self.skip_bad = skip_bad

    def fit(self, X: Source, y: object = None) -> Estimator:
        """Train on all events of ``X``, what ``read_events`` takes; ``y`` is ignored.

        Raises:
            ClusterSeqError: a parameter or the events can't be used.
        """
        events, config = self._events(X), self._config()
        runtime = Runtime(seed=self.seed, threads=self.threads)
        with tempfile.TemporaryDirectory(prefix="clusterseq-") as folder:
            checkpoint, _ = Experiment(events, Path(folder) / "model", config, runtime).run()
        self.recommender_ = Recommender(checkpoint)
        self.n_items_in_ = len(checkpoint.items)
        return self

    def recommend(self, X: Source) -> Any:
        """``user``, ``rank``, ``item`` and ``score``, up to ``k`` rows for each person of ``X``.

        They need not be those of ``fit``. A data frame of pandas or a table of pyarrow comes back
        as such, everything else as a data frame of polars.

        Raises:
            DataError: ``X`` can't be read.
            ConfigError: nothing is fitted yet, or ``k`` is no whole number or below 1.
        """
        recommender, events = self._fitted(), self._events(X)
        with tempfile.TemporaryDirectory(prefix="clusterseq-") as folder:
            path = Path(folder) / "recommendations.parquet"
            recommend_file(recommender, events, path, k=self.k, filter_seen=self.filter_seen)
            return _like(pl.read_parquet(path), X)

    def score(self, X: Source, y: object = None) -> float:
        """MRR over the whole catalogue on the people of ``X``, who count as new; ``y`` is ignored.

        The first three items of each are shown, the fourth is to be foreseen; without
        ``filter_seen`` those three compete with it, too.

        Raises:
            DataError: ``X`` can't be read, or nobody has more than three events.
            ConfigError: nothing is fitted yet.
        """
        checkpoint = self._fitted().checkpoint
        comparison = evaluate_checkpoint(
            checkpoint,
            self._events(X),
            all_new=True,
            keep_seen=not self.filter_seen,
            baselines=False,
        )
        return float(comparison.to_dict()["full"]["mrr"])

    def save(self, directory: str | Path) -> None:
        """Save the model for ``Recommender.load`` and the command line.

        From then on the estimator can be pickled and copied: what travels is where the model lies.

        Raises:
            ConfigError: nothing is fitted yet.
            DataError: the directory holds something else, or can't be written.
        """
        save_checkpoint(directory, self._fitted().checkpoint)
        self.recommender_ = Recommender.load(directory)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name; none of them has parameters of its own."""
        return {name: getattr(self, name) for name in _names()}

    def set_params(self, **params: Any) -> Estimator:
        """Change parameters; the next ``fit`` uses them.

        Raises:
            ConfigError: there is none of that name.
        """
        names = dict.fromkeys(_names())
        for name, value in params.items():
            if name not in names:
                raise ConfigError(f'Estimator has no parameter "{name}"; {nearest(name, names)}')
            setattr(self, name, value)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """Whether ``fit`` was called, as scikit-learn asks it."""
        return getattr(self, "recommender_", None) is not None

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn's pipelines and searches ask for; only they call it, so it is there."""
        tags = import_module("sklearn.utils")
        return tags.Tags(estimator_type=None, target_tags=tags.TargetTags(required=False))

    def __repr__(self) -> str:
        defaults = Estimator().get_params()
        given = sorted(self.get_params().items())
        params = ", ".join(f"{name}={value!r}" for name, value in given if value != defaults[name])
        return f"Estimator({params})"

    def _fitted(self) -> Recommender:
        recommender: Recommender | None = getattr(self, "recommender_", None)
        if recommender is None:
            raise ConfigError("this Estimator isn't fitted yet; call fit with a table of events")
        return recommender

    def _config(self) -> Config:
        config = preset_named(self.preset)
        options = {} if self.options is None else self.options
        if options.get("data.split", "none") != "none":
            raise ConfigError(
                "an Estimator trains on everybody it is given, so data.split can't be "
                f"{options['data.split']!r}; leave it out, or use Experiment, which splits"
            )
        for name, value in options.items():
            table, _, option = name.partition(".")
            config = from_dict(Config, {table: {option: value}}, base=config)
        return from_dict(Config, {"data": {"split": "none"}}, base=config)

    def _events(self, source: Source) -> Events:
        return read_events(
            source,
            user_column=self.user_column,
            item_column=self.item_column,
            time_column=self.time_column,
            skip_bad=self.skip_bad,
        )


def _names() -> list[str]:
    return sorted(inspect.signature(Estimator).parameters)


def _like(frame: pl.DataFrame, given: object) -> Any:
    """A data frame of the same library as what was given."""
    library = type(given).__module__.partition(".")[0]
    if library == "pandas":
        return frame.to_pandas()
    return frame.to_arrow() if library == "pyarrow" else frame
