"""What all routes share: the rankings, the store, the keys, the numbers, and the bounds.

Knows nothing about: HTTP messages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clusterseq.service.access import needs
from clusterseq.service.async_store import AsyncStore
from clusterseq.service.engine import Engine
from clusterseq.service.keys import Keyring
from clusterseq.service.limits import Limits
from clusterseq.service.metrics import Metrics
from clusterseq.service.problems import ProblemError
from clusterseq.service.ranking_service import RankingService


@dataclass(frozen=True, eq=False)
class Context:
    """One service."""

    rankings: RankingService
    """Serves rankings."""
    store: AsyncStore
    """Keeps histories."""
    model: Path
    """Where the model is read from, at the start and at a reload."""
    compiled: bool = False
    """Whether the model is compiled, which a reload does anew."""
    keyring: Keyring = field(default_factory=Keyring)
    """Who may do what."""
    key_file: Path | None = None
    """Where the keys are read from, at the start and at a reload; None asks nobody for one."""
    metrics: Metrics = field(default_factory=Metrics)
    """What is counted."""
    replace_others: Callable[[], None] = lambda: None
    """Has the other processes of the service started anew, one after the other."""

    @property
    def limits(self) -> Limits:
        """What is taken on."""
        return self.rankings.limits

    @property
    def engine(self) -> Engine:
        """The model in use."""
        return self.rankings.engine

    def load(self) -> Engine:
        """What the model's directory holds now, ready to serve as many as come at once.

        The keys are read again before it, and count even where the model is refused: whoever takes
        one away must not wait for a model that can be used.

        Raises:
            CheckpointError: it can't be used.
            ConfigError: it can't be compiled, or the keys can't be used.
        """
        if self.key_file is not None:
            self.keyring.keys = Keyring.guarding(self.key_file).keys
        return Engine.load(self.model, self.limits.at_once, compiled=self.compiled)

    def needs(self, scope: str) -> list[Any]:
        """What asks for a key of a scope, before a route is run; nothing where nobody is asked."""
        return [] if self.keyring.open else [needs(scope, self.keyring)]

    def bound(self, what: str, found: int, most: int) -> None:
        """Refuse what is too many, and name the limit.

        Raises:
            ProblemError: more than ``most`` are given.
        """
        if found > most:
            raise ProblemError(422, "Beyond a limit", f"{what}: {found} given, {most} at most")

    def bound_ids(self, what: str, ids: Sequence[int | str], most: int) -> None:
        """The same for a list of ids, none of which may be too long."""
        self.bound(what, len(ids), most)
        longest = max((len(raw_id) for raw_id in ids if isinstance(raw_id, str)), default=0)
        self.bound(f"characters of an id in {what}", longest, self.limits.id_length)
