"""Looking for better options: many trainings, judged by validation users alone.

Optuna proposes options (tree-structured Parzen estimators, Bergstra et al. 2011) and stops
trainings that fall behind the median of the others at the same epoch. All of it is kept in an
SQLite file, so a search goes on where it was stopped. The test users play no part.

Knows nothing about: terminals, files of events.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from clusterseq.config import Config, Runtime
from clusterseq.data.sequences import Sequences, digest_of
from clusterseq.errors import ConfigError, DataError
from clusterseq.learning.pretrain import LIKELIHOOD
from clusterseq.learning.ranges import Range
from clusterseq.learning.stage import MRR
from clusterseq.learning.train import TEACHER, fit
from clusterseq.learning.trainer import PRETRAIN
from clusterseq.machine.extras import require_extra
from clusterseq.overrides import with_assignments

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial, Trial

STUDY, FILE = "clusterseq", "search.db"
PRETRAIN_EPOCHS = "train.pretrain_epochs"
Told: TypeAlias = Callable[[int, float | None, Mapping[str, Any]], None]
"""Told of each trial: its number, what it reached (None if it was stopped), its options."""


@dataclass(frozen=True, eq=False)
class Search:
    """A search for options on one split."""

    known: Sequences
    validation: Sequences
    """The new users who judge."""
    n_items: int
    config: Config
    """The options that aren't looked through."""
    ranges: Sequence[Range]
    seed: int = 0

    @property
    def measure(self) -> str:
        """What compares trials: the likelihood, which only pre-training calibrates, or MRR."""
        searched = any(axis.option == PRETRAIN_EPOCHS for axis in self.ranges)
        return LIKELIHOOD if searched or self.config.train.pretrain_epochs else MRR

    def run(self, folder: Path, trials: int, told: Told) -> Study:
        """Go on until so many trials are behind us, in this and in earlier runs.

        Raises:
            ConfigError: Optuna isn't installed, the folder holds a search of something else, an
                option has two ranges, or some trials would have no pre-training and others would.
            DataError: nobody is left to judge, or the folder can't be used.
            KeyboardInterrupt: on Ctrl-C; what is finished is kept.
        """
        self._check()
        with _kept_in(folder):
            study = self._claimed(open_search(folder, self.seed), folder)
            while (done := len(_finished(study))) < trials:
                finished = self._try(study, study.ask())
                told(done + 1, _reached(finished), finished.params)
        return study

    def _check(self) -> None:
        """Refuse what can't be looked through."""
        options = [axis.option for axis in self.ranges]
        if duplicates := [option for option in options if options.count(option) > 1]:
            raise ConfigError(f"{duplicates[0]} has two ranges; give it one")
        if any(axis.option == PRETRAIN_EPOCHS and axis.least < 1 for axis in self.ranges):
            raise ConfigError(
                "trials without pre-training are judged by MRR and the others by likelihood, so "
                f"they can't be compared; let {PRETRAIN_EPOCHS} be 1 or more"
            )
        if not (self.validation.lengths > 1).any():
            raise DataError(
                "no validation user has two events, so nobody can judge; add data", code="split"
            )

    def _claimed(self, study: Study, folder: Path) -> Study:
        """The search, named so that trials of something else don't count as its own.

        One of something else in which nothing was finished is begun anew.
        """
        people = digest_of(self.known, self.validation)
        identity = repr((self.config, tuple(self.ranges), people, self.n_items, self.seed))
        former = study.user_attrs.setdefault("search", identity)
        if former != identity:
            if _finished(study):
                raise ConfigError(
                    f"{folder}: holds a search of something else; name another place",
                    code="output",
                )
            from optuna import delete_study

            delete_study(study_name=STUDY, storage=_storage(folder))
            study = open_search(folder, self.seed)
        study.set_user_attr("search", identity)
        return study

    def _try(self, study: Study, trial: Trial) -> FrozenTrial:
        from optuna import TrialPruned
        from optuna.trial import TrialState

        changes = [f"{axis.option}={axis.suggest(trial, self.config)}" for axis in self.ranges]
        if former := _same(study, trial):
            return study.tell(trial, _reached(former), former.state)
        watcher = _Pruner(trial, self.measure)
        try:
            fit(
                self.known,
                self.validation,
                with_assignments(self.config, changes),
                n_items=self.n_items,
                runtime=Runtime(self.seed),
                watcher=watcher,
            )
        except TrialPruned:
            return study.tell(trial, state=TrialState.PRUNED)
        except BaseException:
            study.tell(trial, state=TrialState.FAIL)
            raise
        if not math.isfinite(watcher.best):
            study.tell(trial, state=TrialState.FAIL)
            raise ConfigError(
                "a trial without an epoch has nothing to be judged by; let train.pretrain_epochs "
                "or train.meta_epochs be 1 or more"
            )
        return study.tell(trial, watcher.best)


class _Pruner:
    """Tells Optuna of the epochs, and ends a training that has fallen behind."""

    def __init__(self, trial: Trial, measure: str) -> None:
        self._trial, self._measure, self._epochs = trial, measure, 0
        self.best = float("-inf")

    def step(self, stage: str, done: int, total: int) -> None:
        """Steps say nothing of newcomers."""

    def epoch(self, record: Mapping[str, Any]) -> None:
        """What the validation users say so far."""
        from optuna import TrialPruned

        if self._measure not in record or record["stage"] == TEACHER:
            return
        self.best = max(self.best, float(record[self._measure]))
        self._trial.report(self.best, self._epochs)
        self._epochs += 1
        if record["stage"] == PRETRAIN and self._trial.should_prune():
            raise TrialPruned


def open_search(folder: Path, seed: int = 0) -> Study:
    """The search that a folder keeps, or a new one.

    Raises:
        ConfigError: Optuna isn't installed.
        DataError: what the folder keeps is damaged, or nothing can be kept there.
    """
    with require_extra("tune", "tuning"):
        import optuna
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with _kept_in(folder):
        folder.mkdir(parents=True, exist_ok=True)
        study = optuna.create_study(
            storage=_storage(folder),
            study_name=STUDY,
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1),
        )
    # A search that goes on draws on, and doesn't propose once more what it began with.
    (word,) = np.random.SeedSequence([seed, len(study.trials)]).generate_state(1)
    study.sampler = optuna.samplers.TPESampler(seed=int(word))
    return study


def require_search(folder: Path) -> None:
    """Refuse a folder whose search can't be gone on with, before events are read for it.

    Raises:
        ConfigError: Optuna isn't installed.
        DataError: what the folder keeps is damaged.
    """
    if (folder / FILE).exists():
        open_search(folder)


def _storage(folder: Path) -> str:
    from sqlalchemy import URL

    address = URL.create("sqlite", database=str(folder.resolve() / FILE))  # whatever it is called
    return address.render_as_string()


@contextmanager
def _kept_in(folder: Path) -> Iterator[None]:
    """Say where it was, and what to do, if the search's file can't be read or written."""
    with require_extra("tune", "tuning"):
        import optuna
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError, OSError) as error:
        why = getattr(error, "strerror", None) or str(error.__cause__ or error).splitlines()[0]
        raise DataError(
            f"{folder / FILE}: {why}; free some room, delete the file if it is damaged, or name "
            "another place",
            code="output",
        ) from error


def best_assignments(study: Study, ranges: Sequence[Range], config: Config) -> dict[str, str]:
    """The best trial's options, as ``--set`` takes them."""
    best = study.best_trial
    return {
        axis.option: best.params[axis.option]
        if axis.choices
        else axis.written(best.params[axis.option], config)
        for axis in ranges
    }


def importances(study: Study) -> dict[str, float]:
    """How much of the spread between trials each option explains (PED-ANOVA, Watanabe 2023).

    Empty where too few trials are finished to say.
    """
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    if sum(_reached(trial) is not None for trial in _finished(study)) < 4:
        return {}
    values = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    return {name: float(value) for name, value in values.items()}


def _finished(study: Study) -> list[FrozenTrial]:
    """Trials that came to an end, stopped ones included; what failed is tried again."""
    from optuna.trial import TrialState

    states = (TrialState.COMPLETE, TrialState.PRUNED)
    return study.get_trials(deepcopy=False, states=states)


def _same(study: Study, trial: Trial) -> FrozenTrial | None:
    """A finished trial of the same options: trained again, it would end the same."""
    return next((former for former in _finished(study) if former.params == trial.params), None)


def _reached(trial: FrozenTrial) -> float | None:
    """What a trial came to; None if it was stopped."""
    from optuna.trial import TrialState

    return trial.value if trial.state == TrialState.COMPLETE else None
