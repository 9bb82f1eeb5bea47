"""What a peer is: a way to fit a scorer, and the few settings it is tuned over.

A peer is tuned as its own authors would: every setting of a small stated grid is fitted, the
validation users judge (``judge``: by MRR over their short prefixes), the best one is kept. Equal
scores keep the setting that stands first.

Knows nothing about: which peers there are, test users, files.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import torch

from clusterseq.checks import shown, whole
from clusterseq.data.sequences import Sequences
from clusterseq.data.tasks import Tasks
from clusterseq.errors import ConfigError, DataError, TrainingError
from clusterseq.judging.judge import judged_tasks, mean_reciprocal_rank
from clusterseq.judging.scorer import Scorer, require_scorer
from clusterseq.machine.accelerator import CPU

Options: TypeAlias = Mapping[str, Any]
Kind: TypeAlias = Literal["classical", "neural", "meta", "ours"]


@dataclass(frozen=True, eq=False)
class Setting:
    """What every peer is given: people to learn from, people to be judged by, and a seed."""

    known: Sequences
    """What to train on."""
    validation: Sequences
    """New users, for early stopping and tuning only."""
    n_items: int
    """Size of the catalogue."""
    seed: int = 0
    """Seed of everything drawn at random."""
    device: torch.device = CPU
    """Where networks are trained and score; what counts and remembers stays on the processor."""

    def __post_init__(self) -> None:
        whole("seed", self.seed)

    def judges(self) -> Tasks:
        """The prefixes of the validation users, the same for every peer."""
        return judged_tasks(self.validation, np.random.default_rng([self.seed, *b"judges"]))

    def generator(self, purpose: str, device: torch.device = CPU) -> torch.Generator:
        """Random numbers for one purpose, which depend on it, the seed and the device alone."""
        draws = np.random.default_rng([self.seed, *purpose.encode()])
        return torch.Generator(device).manual_seed(int(draws.integers(2**62)))

    def mrr(self, scorer: Scorer) -> float:
        """How well a scorer foresees what the validation users do next."""
        require_scorer(scorer)
        return mean_reciprocal_rank(scorer.score, self.judges())


@dataclass(frozen=True, eq=False)
class Peer:
    """A model to compare with, and how it is tuned."""

    name: str
    """As the tables call it."""
    about: str
    """One sentence: what it does and where it is published."""
    fit: Callable[..., Scorer]
    """Called with a ``Setting`` and one value of each name in ``grid``."""
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """The values tried of each option; its product is tried as a whole."""
    kind: Kind = "classical"
    """What it is among the others."""

    def __post_init__(self) -> None:
        for option, values in self.grid.items():
            # A text has a length, too, but its letters are nothing to try.
            if isinstance(values, str) or not len(values):
                raise ConfigError(
                    f'peer "{self.name}": {option} = {shown(values)} gives no values to try; give '
                    "a tuple of one or more",
                    code="extension",
                )

    def settings(self) -> list[Options]:
        """Every point of the grid, the first value of each option first.

        >>> Peer("x", "An example.", print, {"a": (1, 2), "b": (3,)}).settings()
        [{'a': 1, 'b': 3}, {'a': 2, 'b': 3}]
        """
        return [
            dict(zip(self.grid, values, strict=True))
            for values in itertools.product(*self.grid.values())
        ]


@dataclass(frozen=True, eq=False)
class Tuned:
    """The best of a grid."""

    scorer: Scorer
    """Fitted with the best options."""
    options: Options
    """The point of the grid that the validation users liked best."""
    trials: Sequence[tuple[Options, float]]
    """Every point with the validation MRR it reached."""
    train_s: float
    """Seconds to fit the scorer."""
    tuning_s: float
    """Seconds to fit and judge the whole grid."""


def tune(peer: Peer, setting: Setting) -> Tuned:
    """Fit a peer with every point of its grid and keep the best; one that diverges reaches 0.

    Raises:
        ClusterSeqError: the peer can't be fitted to this data, or needs an extra to be installed;
            or nobody can judge.
    """
    if not len(setting.judges()):
        raise DataError(
            "no validation user has two events, so nobody can judge; give others, or fit the peer "
            "with options of your choice",
            code="split",
        )
    best: tuple[float, Scorer, Options, float] | None = None
    failure: TrainingError | None = None
    trials, began = [], time.perf_counter()
    for options in peer.settings():
        started = time.perf_counter()
        try:
            scorer = peer.fit(setting, **options)
            seconds = time.perf_counter() - started
            mrr = setting.mrr(scorer)
        except TrainingError as error:
            failure, mrr = error, 0.0
        else:
            if best is None or mrr > best[0]:
                best = mrr, scorer, options, seconds
        trials.append((options, mrr))
    if best is None:
        assert failure is not None  # the product of no options is one empty point
        raise failure
    _, scorer, options, seconds = best
    return Tuned(scorer, options, trials, seconds, time.perf_counter() - began)
