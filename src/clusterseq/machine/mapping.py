"""How a function is run over pieces of work: one after the other here, or by Ray on many machines.

Knows nothing about: what the pieces are.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

from clusterseq.machine.extras import require_extra

P = TypeVar("P")
R = TypeVar("R")


@runtime_checkable
class Mapper(Protocol):
    """Runs a function over pieces; what the function returns for each comes back in any order."""

    def __call__(self, function: Callable[[P], R], pieces: Sequence[P]) -> Iterator[R]:
        """One result for each piece, as they are finished."""
        ...


def one_by_one(function: Callable[[P], R], pieces: Sequence[P]) -> Iterator[R]:
    """Run it here.

    >>> list(one_by_one(abs, [1, -2]))
    [1, 2]
    """
    return map(function, pieces)


def by_ray(function: Callable[[P], R], pieces: Sequence[P]) -> Iterator[R]:
    """Run it as tasks of Ray Data; a task that fails because its machine is gone runs once more.

    Joins the cluster that ``RAY_ADDRESS`` names, or starts Ray on this machine. The function, the
    pieces and the results travel, so they must be small; files must lie where all machines see
    them. Ray's processes stay from one task to the next, so what a function loads it can keep.

    Raises:
        ConfigError: Ray is not installed.
    """
    data = ray_data()
    rows = data.range(len(pieces), override_num_blocks=len(pieces))
    for row in rows.map(_Worked(function, pieces).__call__).iter_rows():
        yield row["result"]


@dataclass(frozen=True)
class _Worked:
    """Turns the number of a piece into the result of it."""

    function: Callable[[Any], Any]
    pieces: Sequence[Any]

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return {"result": self.function(self.pieces[row["id"]])}


def ray_data() -> Any:
    """Ray Data, with Ray running; quiet, and without a word to its makers.

    Raises:
        ConfigError: Ray is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # or it tells its makers
    with require_extra("ray", "work on a cluster"):
        import ray
        import ray.data
    for name in ("ray", "ray.data"):  # they report on every pass
        logging.getLogger(name).setLevel(logging.ERROR)
    if not ray.is_initialized():
        ray.init(log_to_driver=False, include_dashboard=False, logging_level=logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    return ray.data
