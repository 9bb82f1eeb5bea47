"""The values that a search looks through: ranges of options, read from text.

Knows nothing about: how a search goes, how models learn.
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterseq.config import Config
from clusterseq.errors import ConfigError
from clusterseq.model.parts import require_parts
from clusterseq.overrides import flat, with_assignments

if TYPE_CHECKING:
    from optuna.trial import Trial

DEFAULT_RANGES = (
    "model.dim=32|64|128",
    "model.dropout=0.2:0.6",
    "model.scale=5:20:log",
    "model.smoothing=0.3:0.9",
    "train.learning_rate=0.002:0.02:log",
    "train.window=5:20",
)
"""What is looked through if nothing else is said."""


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
        match = re.fullmatch(r"([^:|]+):([^:|]+)(:log)?", values)
        if not equals or not values or (":" in values and not match):
            raise ConfigError(f'range "{text}" can\'t be read; write OPTION=LOW:HIGH or =A|B|C')
        if option.startswith("data."):
            raise ConfigError(
                f'range "{text}": people are split once, before the search, so {option} can\'t be '
                "looked through; give it by --set"
            )
        if option == "model.n_items":
            raise ConfigError(f'range "{text}": training sets it to the size of the catalogue')
        if match is None:
            parsed = cls(option, choices=tuple(values.split("|")))
        else:
            low, high = (_number(text, part) for part in match.groups()[:2])
            if isinstance(flat(config).get(option), int):
                low, high = float(math.ceil(low)), float(math.floor(high))
            parsed = cls(option, low=low, high=high, log=bool(match[3]))
            if low >= high or (parsed.log and low <= 0):
                raise ConfigError(f'range "{text}" is empty; let it rise, from above 0 if log')
        ends = [parsed.written(end, config) for end in (parsed.low, parsed.high)]
        for value in parsed.choices or ends:
            require_parts(with_assignments(config, [f"{option}={value}"]).model)
        return parsed

    @property
    def least(self) -> float:
        """The smallest number in it."""
        return min(map(float, self.choices)) if self.choices else self.low

    def whole(self, config: Config) -> bool:
        """Whether the option is a whole number."""
        return isinstance(flat(config).get(self.option), int)

    def written(self, value: float | int, config: Config) -> str:
        """A number as ``--set`` takes it."""
        return str(round(value)) if self.whole(config) else repr(float(value))

    def suggest(self, trial: Trial, config: Config) -> str:
        """A value for a trial, as ``--set`` takes it."""
        if self.choices:
            return str(trial.suggest_categorical(self.option, self.choices))
        if self.whole(config):
            low, high = int(self.low), int(self.high)
            return str(trial.suggest_int(self.option, low, high, log=self.log))
        return repr(trial.suggest_float(self.option, self.low, self.high, log=self.log))


def _number(text: str, part: str) -> float:
    with suppress(ValueError):
        if math.isfinite(number := float(part)):
            return number
    raise ConfigError(f'range "{text}": {part!r} is not a number; write LOW:HIGH')
