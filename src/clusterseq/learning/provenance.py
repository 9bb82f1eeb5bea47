"""Where a model comes from: how people were split, what it was trained on, and what came later.

Knows nothing about: models, files.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LATER: Mapping[str, Any] = {"updated_by": [], "timed": True}
"""What older models don't say, and what it means that they don't."""


@dataclass(frozen=True)
class Provenance:
    """Where a model comes from, as far as that can be said without naming anybody."""

    split: str
    """How users were split: temporal, random or none."""
    seed: int
    """Seed of the split and the training."""
    cutoff: int | None
    """T of a temporal split, in microseconds since the epoch."""
    fingerprint: str
    """SHA-256 over the known users and their event counts; tells whether a file is the same."""
    coverage: float
    """Share of the new users' events whose item the model knows."""
    known_users: int
    """How many people the model was trained on."""
    events: int
    """How many events of theirs."""
    updated_by: tuple[str, ...] = ()
    """A digest of each batch of events that was added later."""
    timed: bool = True
    """Whether the events had times; else only their order is known."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it; what came to be said later stands there only where there is need to."""
        values = dataclasses.asdict(self) | {"updated_by": list(self.updated_by)}
        return {name: value for name, value in values.items() if LATER.get(name, ...) != value}

    @classmethod
    def from_dict(cls, values: object) -> Provenance | None:
        """What ``to_dict`` gave; None if it isn't whole.

        >>> made = Provenance("none", 0, None, "", 1.0, known_users=30, events=120)
        >>> Provenance.from_dict(made.to_dict()) == made, Provenance.from_dict({"seed": 0})
        (True, None)
        """
        kinds = typing.get_type_hints(cls) | {"updated_by": list}
        values = {**LATER, **values} if isinstance(values, dict) else {}
        fits = values.keys() == kinds.keys()
        if not fits or not all(isinstance(values[name], kind) for name, kind in kinds.items()):
            return None
        return cls(**{**values, "updated_by": tuple(map(str, values["updated_by"]))})
