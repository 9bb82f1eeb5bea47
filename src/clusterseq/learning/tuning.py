"""Looking for better options: many trainings, judged by validation users alone.

Optuna proposes options (tree-structured Parzen estimators, Bergstra et al. 2011) and stops
trainings that fall behind the median of the others at the same epoch. All of it is kept in an
SQLite file, so a search goes on where it was stopped. The test users play no part.

Knows nothing about: terminals, files of events.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from clusterseq.config import Config, Runtime
from clusterseq.data.sequences import Sequences
from clusterseq.errors import ConfigError, DataError
from clusterseq.learning.pretrain import LIKELIHOOD
from clusterseq.learning.stage import MRR
from clusterseq.learning.train import TEACHER, fit
from clusterseq.learning.trainer import PRETRAIN
from clusterseq.machine.extras import needed
from clusterseq.overrides import with_assignments

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial, Trial

STUDY = "clusterseq"
PRETRAIN_EPOCHS = "train.pretrain_epochs"
DEFAULT_RANGES = (
    "model.dim=32|64|128",
    "model.dropout=0.2:0.6",
    "model.scale=5:20:log",
    "model.smoothing=0.3:0.9",
    "train.learning_rate=0.002:0.02:log",
    "train.window=5:20",
)
"""What is looked through if nothing else is said."""

Told: TypeAlias = Callable[[int, float | None, Mapping[str, Any]], None]
"""Told of each trial: its number, what it reached (None if it was stopped), its options."""


@dataclass(frozen=True)
class Range:
    """The values that an option may take."""

    option: str
    """Its full name, such as ``model.dim``."""
    choices: tuple[str, ...] = ()
    """The values themselves, as ``--set`` takes them; else all numbers between two ends."""
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    """Whether small numbers are as finely spaced as large ones are in proportion."""

    @classmethod
    def parse(cls, text: str, config: Config) -> Range:
        """Read ``OPTION=A|B|C``, ``OPTION=LOW:HIGH`` or ``OPTION=LOW:HIGH:log``.

        >>> Range.parse("model.scale=5:20:log", Config()).log
        True

        Raises:
            ConfigError: the text is none of these, or the option can't take such values.
        """
        option, equals, values = text.partition("=")
        found = re.fullmatch(r"([^:|]+):([^:|]+)(:log)?", values)
        if not equals or not values or (":" in values and not found):
            raise ConfigError(f'range "{text}" can\'t be read; write OPTION=LOW:HIGH or =A|B|C')
        if option.startswith("data."):
            raise ConfigError(
                f'range "{text}": people are split once, before the search, so {option} can\'t be '
                "looked through; give it by --set"
            )
        if found is None:
            one = cls(option, choices=tuple(values.split("|")))
        else:
            low, high = (_number(text, part) for part in found.groups()[:2])
            one = cls(option, low=low, high=high, log=bool(found[3]))
            if low >= high or (one.log and low <= 0):
                raise ConfigError(f'range "{text}" is empty; let it rise, from above 0 if log')
        for value in one.choices or (one.written(one.low, config), one.written(one.high, config)):
            with_assignments(config, [f"{option}={value}"])
        return one

    @property
    def least(self) -> float:
        """The smallest number in it."""
        return min(map(float, self.choices)) if self.choices else self.low

    def whole(self, config: Config) -> bool:
        """Whether the option is a whole number."""
        table, _, name = self.option.partition(".")
        return isinstance(getattr(getattr(config, table, None), name, None), int)

    def written(self, value: float | int, config: Config) -> str:
        """A number as ``--set`` takes it."""
        return str(round(value)) if self.whole(config) else repr(float(value))

    def suggest(self, trial: Trial, config: Config) -> str:
        """A value for a trial, as ``--set`` takes it."""
        if self.choices:
            return str(trial.suggest_categorical(self.option, self.choices))
        if self.whole(config):
            low, high = round(self.low), round(self.high)
            return str(trial.suggest_int(self.option, low, high, log=self.log))
        return repr(trial.suggest_float(self.option, self.low, self.high, log=self.log))


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
        looked = any(one.option == PRETRAIN_EPOCHS for one in self.ranges)
        return LIKELIHOOD if looked or self.config.train.pretrain_epochs else MRR

    def run(self, folder: Path, trials: int, told: Told) -> Study:
        """Go on until so many trials are behind us, in this and in earlier runs.

        Raises:
            ConfigError: Optuna isn't installed, the folder holds a search of something else, or
                some trials would have no pre-training and others would.
            DataError: nobody is left to judge.
            KeyboardInterrupt: on Ctrl-C; what is finished is kept.
        """
        if any(one.option == PRETRAIN_EPOCHS and one.least < 1 for one in self.ranges):
            raise ConfigError(
                "trials without pre-training are judged by MRR and the others by likelihood, so "
                f"they can't be compared; let {PRETRAIN_EPOCHS} be 1 or more"
            )
        if not (self.validation.lengths > 1).any():
            raise DataError(
                "no validation user has two events, so nobody can judge; add data", code="split"
            )
        study = open_search(folder, self.seed)
        self._claim(study, folder)
        while (done := _finished(study)) < trials:
            ended = self._try(study, study.ask())
            told(done + 1, ended.value, ended.params)
        return study

    def _claim(self, study: Study, folder: Path) -> None:
        """Say whose search this is, so that trials of something else don't count as its own."""
        own = repr((self.config, tuple(self.ranges), len(self.known.items), self.n_items))
        former = study.user_attrs.setdefault("search", own)
        if former != own:
            raise ConfigError(
                f"{folder}: holds a search of something else; name another place", code="output"
            )
        study.set_user_attr("search", own)

    def _try(self, study: Study, trial: Trial) -> FrozenTrial:
        from optuna import TrialPruned
        from optuna.trial import TrialState

        changes = [f"{one.option}={one.suggest(trial, self.config)}" for one in self.ranges]
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
    """
    with needed("tune", "tuning"):
        import optuna
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    folder.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=f"sqlite:///{folder.resolve() / 'search.db'}",
        study_name=STUDY,
        direction="maximize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1),
    )
    # A search that goes on draws on, and doesn't propose once more what it began with.
    (word,) = np.random.SeedSequence([seed, len(study.trials)]).generate_state(1)
    study.sampler = optuna.samplers.TPESampler(seed=int(word))
    return study


def best_assignments(study: Study, ranges: Sequence[Range], config: Config) -> dict[str, str]:
    """The best trial's options, as ``--set`` takes them."""
    best = study.best_trial
    return {
        one.option: best.params[one.option]
        if one.choices
        else one.written(best.params[one.option], config)
        for one in ranges
    }


def importances(study: Study) -> dict[str, float]:
    """How much of the spread between trials each option explains (PED-ANOVA, Watanabe 2023).

    Empty where too few trials are finished to say.
    """
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    if len(_complete(study)) < 4:
        return {}
    found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    return {name: float(value) for name, value in found.items()}


def _finished(study: Study) -> int:
    """Trials that came to an end, stopped ones included; what failed is tried again."""
    from optuna.trial import TrialState

    ends = (TrialState.COMPLETE, TrialState.PRUNED)
    return sum(trial.state in ends for trial in study.get_trials(deepcopy=False))


def _complete(study: Study) -> list[FrozenTrial]:
    from optuna.trial import TrialState

    return [trial for trial in study.trials if trial.state == TrialState.COMPLETE]


def _number(text: str, part: str) -> float:
    try:
        return float(part)
    except ValueError as error:
        raise ConfigError(f'range "{text}": {part!r} is not a number; write LOW:HIGH') from error
