"""Several processes that train one model together: who they are, and what they tell each other.

Every process holds the whole model and sees every batch; it works on its own share of the people,
and gradients are summed before each step, so all of them take the same step. (PyTorch's own wrapper
for this doesn't follow gradients of gradients, which meta-training needs.) However many there are,
they come to the same weights, but for rounding and for dropout, which each draws for itself. They
compute on processors.

``torchrun``, or Ray on a cluster, starts the processes and tells each its place by environment
variables.

Knows nothing about: models, data.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import torch
import torch.distributed as distributed
from jaxtyping import Shaped
from torch import Tensor, nn

from clusterseq.errors import ConfigError, TrainingError


@dataclass(frozen=True)
class Workers:
    """The place of this process among all."""

    rank: int = 0
    """0 … size − 1; the first one writes files and talks."""
    size: int = 1
    """How many there are."""

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and talks."""
        return self.rank == 0

    def share(self, total: int) -> slice:
        """The rows of a batch that are this process's own.

        >>> [list(range(5))[Workers(rank, 2).share(5)] for rank in range(2)]
        [[0, 2, 4], [1, 3]]
        """
        return slice(self.rank, total, self.size)

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Give every process the sum of all processes' gradients, and none where nobody has one:
        an optimiser passes over such a parameter, and would move it at a gradient of zeros.

        Raises:
            TrainingError: another process is gone.
        """
        if self.size == 1:
            return
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        present = gradients[0].new_tensor([p.grad is not None for p in parameters])
        flat = torch.cat([present, *(gradient.flatten() for gradient in gradients)])
        self._sum(flat)
        present, *pieces = flat.split_with_sizes([len(gradients), *map(Tensor.numel, gradients)])
        for parameter, piece, count in zip(parameters, pieces, present.tolist(), strict=True):
            parameter.grad = piece.view_as(parameter) if count else None

    def total(self, value: Tensor) -> Tensor:
        """The sum of a number over all processes.

        Raises:
            TrainingError: another process is gone.
        """
        if self.size == 1:
            return value
        summed = value.detach().clone()
        self._sum(summed)
        return summed

    def agreed(self, value: float) -> float:
        """The first process's number, so that all decide alike where each has its own rounding.

        Raises:
            TrainingError: another process is gone.
        """
        return float(self.total(torch.tensor(value if self.first else 0.0, dtype=torch.float64)))

    def own_draws(self, generator: torch.Generator) -> torch.Generator:
        """What this process draws for its share alone, after what all have drawn alike."""
        if self.first:
            return generator
        seed = generator.initial_seed() + self.rank
        return torch.Generator(generator.device).manual_seed(seed)

    def any(self, flag: bool) -> bool:
        """Whether it is so in any process, so that all of them stop at the same step."""
        return bool(self.total(torch.tensor(float(flag))) > 0)

    def wait_for_all(self) -> None:
        """Go on once every process has come here."""
        self.any(False)

    def exchange(
        self, values: Shaped[Tensor, " *given"], given: list[int], taken: list[int]
    ) -> Shaped[Tensor, " *taken"]:
        """Give every process some of the values, in the order of ranks, and take theirs.

        ``given`` and ``taken`` say how many for and from each.

        Raises:
            TrainingError: another process is gone.
        """
        received = values.new_empty(sum(taken), *values.shape[1:])
        with self._all_there():
            distributed.all_to_all_single(received, values.contiguous(), taken, given)
        return received

    def _sum(self, values: Tensor) -> None:
        with self._all_there():
            distributed.all_reduce(values)

    @contextmanager
    def _all_there(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise TrainingError(
                f"another of the {self.size} processes is gone ({str(error).splitlines()[0]}); the "
                "same command with --resume goes on from the last state"
            ) from error


ALONE = Workers()


def is_main_process() -> bool:
    """Whether this process is the one that writes files and talks to people."""
    return os.environ.get("RANK", "0") == "0"


def world_size() -> int:
    """How many processes will have joined for a training, this one among them."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def run_processes(words: Sequence[str], workers: int) -> None:
    """Run a command of clusterseq in so many processes of this machine.

    Threads are shared out: processes that each take all of them would wait for each other.

    Raises:
        TrainingError: one of them has ended with an error, which it has told itself.
        KeyboardInterrupt: they were stopped, and have ended.
    """
    threads = max(1, (os.cpu_count() or 1) // workers)
    command = [sys.executable, "-m", "clusterseq.machine.launcher", "--standalone"]
    command += [f"--nproc-per-node={workers}", "-m", "clusterseq", *words]
    environment = {"OMP_NUM_THREADS": str(threads), **os.environ}
    with subprocess.Popen(command, env=environment) as process:
        stopped = list[int]()

        def stop(number: int, frame: FrameType | None) -> None:
            stopped.append(number)
            if number != signal.SIGINT:  # which a terminal sends to all of them
                process.send_signal(number)

        former = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            process.wait()
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)
    if stopped and process.returncode:  # they have kept what they have
        raise KeyboardInterrupt
    if process.returncode:
        raise TrainingError(
            f"a process of {workers} has ended with an error; what it said stands above"
        )


@contextmanager
def process_group(device: torch.device) -> Iterator[Workers]:
    """Join the processes that ``torchrun`` or Ray has started; alone where there are none.

    Raises:
        ConfigError: the environment is half set, or they would compute on accelerators.
    """
    environment = {name: os.environ.get(name) for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR")}
    if environment["WORLD_SIZE"] in (None, "1"):
        yield ALONE
        return
    missing = [name for name, value in environment.items() if value is None]
    if missing:
        raise ConfigError(f"{missing[0]} is not set and WORLD_SIZE is; start it by torchrun")
    if device.type != "cpu":
        raise ConfigError(
            f"{environment['WORLD_SIZE']} processes train together on processors, not on {device}; "
            "give --device cpu, or one process the accelerator"
        )
    owns_group = not distributed.is_initialized()  # Ray has joined them already, and parts them
    if owns_group:
        distributed.init_process_group("gloo")
    try:
        yield Workers(distributed.get_rank(), distributed.get_world_size())
        distributed.barrier()  # nobody takes the connections down while another still uses them
    finally:
        if owns_group:
            distributed.destroy_process_group()
