"""The state of a training on disk, kept after every epoch and when somebody asks it to stop.

The first Ctrl-C (or SIGTERM) lets the current step finish, keeps the state and ends the training;
the second one ends it at once, with the state of the last epoch.

Knows nothing about: what is trained, the finished model's files.
"""

from __future__ import annotations

import math
import signal
import threading
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from clusterseq.errors import CheckpointError
from clusterseq.learning.stage import Place
from clusterseq.machine.directory import present, replacing
from clusterseq.machine.manifest import MANIFEST, read_manifest, write_manifest
from clusterseq.machine.tensors import write_tensors
from clusterseq.machine.workers import ALONE, Workers

MARKER, TENSORS = MANIFEST, "state.safetensors"
PLACE = ("stage", "epoch", "step", "best", "waited", "total")
"""What is kept of a place beside its tensors."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Keeper:
    """Keeps a model and its place in training; a directory of None keeps nothing."""

    def __init__(
        self,
        directory: Path | None,
        model: nn.Module,
        place: Place,
        run: str,
        workers: Workers = ALONE,
    ) -> None:
        self._state = None if directory is None else directory / "state"
        self._workers = workers
        self._model, self._place, self._run = model, place, run
        self._stopped = False
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Keeper:
        if threading.current_thread() is threading.main_thread():
            self._former = {number: signal.signal(number, self._stop) for number in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        if kind is None:  # asked to stop after the last step: the state kept is of its end
            self._end_if_stopped()

    def checkpoint(self) -> None:
        """Keep the state at the end of an epoch, or if the training was asked to stop.

        Raises:
            KeyboardInterrupt: it was asked to stop; the state is kept.
        """
        self._stopped = self._workers.any(self._stopped)
        if self._stopped or self._place.step == 0:
            self._save()
        self._end_if_stopped()

    def restore(self) -> None:
        """Take the model and the place from the state on disk.

        Raises:
            CheckpointError: there is no state, it is damaged, or it is of another run.
        """
        path = present(self._state) if self._state else None
        if path is None or not (path / MARKER).exists():
            raise CheckpointError(
                f"{self._state}: no state to resume; train without --resume", code="resume"
            )
        try:
            told = read_manifest(path, [TENSORS])
            device = str(next(self._model.parameters()).device)
            tensors = load_file(path / TENSORS, device=device)
            run, numbers = told["run"], {"best": -math.inf} | told["place"]
        except (OSError, KeyError, TypeError, SafetensorError, CheckpointError) as error:
            raise CheckpointError(
                f"{path}: the state is damaged ({error}); train without --resume", code="resume"
            ) from error
        if run != self._run:
            raise CheckpointError(
                f"{path}: the state is of other events, options or another seed; "
                "give the same ones, or train without --resume",
                code="resume",
            )
        place = self._place
        vars(place).update(numbers)
        self._model.load_state_dict(_under("model.", tensors))
        place.best_tensors = _under("best.", tensors)
        place.moments = _under("moments.", tensors)

    def _save(self) -> None:
        if self._state is None or not self._workers.first:
            return
        place = self._place
        tensors = {f"model.{n}": v for n, v in self._model.state_dict().items()}
        tensors |= {f"best.{n}": v for n, v in place.best_tensors.items()}
        tensors |= {f"moments.{n}": v for n, v in place.moments.items()}
        numbers = {name: getattr(place, name) for name in PLACE} | {"total": float(place.total)}
        if place.best == -math.inf:  # nothing is judged yet, and JSON knows no infinity
            del numbers["best"]
        told = {"run": self._run, "place": numbers}
        with replacing(self._state, marker=MARKER) as draft:
            copies = {n: v.detach().clone().contiguous() for n, v in tensors.items()}
            write_tensors(draft / TENSORS, copies)
            write_manifest(draft, [TENSORS], told)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._end_if_stopped()
        self._stopped = True

    def _end_if_stopped(self) -> None:
        if self._stopped:
            self._stopped = False
            raise KeyboardInterrupt


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
