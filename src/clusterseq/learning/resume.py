"""The state of a training on disk, kept after every epoch and when somebody asks it to stop.

The first Ctrl-C (or SIGTERM) lets the current step finish, keeps the state and ends the training;
the second one ends it at once, with the state of the last epoch.

The first process keeps the state of all. In a stage that divides the model, each writes a file of
its own, and the first puts them in place together.

Knows nothing about: what is trained, the finished model's files.
"""

from __future__ import annotations

import math
import os
import signal
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from clusterseq.errors import CheckpointError, DataError
from clusterseq.learning.stage import Place
from clusterseq.machine.directory import current_path, replacing
from clusterseq.machine.manifest import MANIFEST, check_files, read_manifest, write_manifest
from clusterseq.machine.tensors import write_tensors
from clusterseq.machine.workers import ALONE, Workers

MARKER, STATE = MANIFEST, "state"
PLACE = ("stage", "epoch", "step", "best", "since_kept", "total")
"""What is kept of a place beside its tensors."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StateSaver:
    """Keeps a model and its place in training; a directory of None keeps nothing.

    In the stages ``divided``, every process holds a part of the model that no other has.
    """

    def __init__(
        self,
        directory: Path | None,
        model: nn.Module,
        place: Place,
        run: str,
        workers: Workers = ALONE,
        divided: Collection[str] = (),
    ) -> None:
        self._state = None if directory is None else directory / STATE
        self._workers, self._divided = workers, divided
        self._model, self._place, self._run = model, place, run
        self._stopped = False
        self._former: dict[int, Any] = {}

    def __enter__(self) -> StateSaver:
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
        if self._workers.any(self._stopped):  # a signal during the call isn't lost
            self._stopped = True
        if self._stopped or self._place.step == 0:
            self._save()
        self._end_if_stopped()

    def restore(self, enter: Callable[[str], None] = lambda stage: None) -> None:
        """Take the model and the place from the state on disk.

        ``enter`` is told the stage before the tensors are taken.

        Raises:
            CheckpointError: there is no state, it is damaged, or it is of another run.
        """
        path = current_path(self._state) if self._state else None
        if path is None or not (path / MARKER).exists():
            raise CheckpointError(
                f"{self._state}: no state to resume; train without --resume", code="resume"
            )
        try:
            manifest = read_manifest(path)
            run, numbers = manifest["run"], {"best": -math.inf} | manifest["place"]
            names = _files(int(manifest.get("parts", 1)))
            name = names[self._workers.rank % len(names)]
            check_files(path, manifest, [name])
            device = str(next(self._model.parameters()).device)
            tensors = load_file(path / name, device=device)
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
        if len(names) != self._parts(numbers["stage"]):
            raise CheckpointError(f"{path}: {_kept_by(len(names))}", code="resume")
        enter(numbers["stage"])
        place = self._place
        vars(place).update(numbers)
        self._model.load_state_dict(_under("model.", tensors))
        place.kept_tensors = _under("best.", tensors)
        place.moments = _under("moments.", tensors)

    def _parts(self, stage: str) -> int:
        """How many processes hold something that no other holds."""
        return self._workers.size if stage in self._divided else 1

    def _save(self) -> None:
        if self._state is None:
            return
        names = _files(self._parts(self._place.stage))
        if self._workers.first:
            self._save_all(self._state, names)
        elif len(names) > 1:
            self._hand_over(_beside(self._state, names[self._workers.rank]))

    def _save_all(self, state: Path, names: list[str]) -> None:
        about = {"run": self._run, "place": self._numbers(), "parts": len(names)}
        with replacing(state, marker=MARKER) as draft:
            write_tensors(draft / names[0], self._tensors())
            if len(names) > 1:
                self._workers.wait_for_all()  # they have written
            for name in names[1:]:
                os.replace(_beside(state, name), draft / name)
            write_manifest(draft, names, about)

    def _hand_over(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_tensors(path, self._tensors())
        except OSError as error:
            raise DataError(
                f"{path}: {error.strerror or error}; free some room or name another place (the "
                "state before is kept)",
                code="output",
            ) from error
        self._workers.wait_for_all()

    def _tensors(self) -> dict[str, Tensor]:
        tensors = {f"model.{n}": v for n, v in self._model.state_dict().items()}
        tensors |= {f"best.{n}": v for n, v in self._place.kept_tensors.items()}
        tensors |= {f"moments.{n}": v for n, v in self._place.moments.items()}
        return {n: v.detach().clone().contiguous() for n, v in tensors.items()}

    def _numbers(self) -> dict[str, Any]:
        place = self._place
        numbers = {name: getattr(place, name) for name in PLACE} | {"total": float(place.total)}
        if place.best == -math.inf:  # nothing is judged yet, and JSON knows no infinity
            del numbers["best"]
        return numbers

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._end_if_stopped()
        self._stopped = True

    def _end_if_stopped(self) -> None:
        if self._stopped:
            self._stopped = False
            raise KeyboardInterrupt


def kept(directory: Path) -> bool:
    """Whether a state is kept there."""
    return current_path(directory / STATE).exists()


def _files(parts: int) -> list[str]:
    if parts == 1:
        return ["state.safetensors"]
    return [f"state-{part + 1}-of-{parts}.safetensors" for part in range(parts)]


def _beside(state: Path, name: str) -> Path:
    """Where a part of the state waits for the others."""
    return state.with_name(f".{name}")


def _kept_by(parts: int) -> str:
    if parts == 1:
        return "the item table is kept whole; go on without --shard-items"
    return f"each of {parts} processes keeps a part; go on with --workers {parts} --shard-items"


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
