"""This machine: what it is, and the floors that no program can get under.

Knows nothing about: clusterseq's own work.
"""

from __future__ import annotations

import platform
import sys
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy
import polars
import torch

from benchmarks.speed.figures import seconds
from clusterseq import __version__

SIDE = 2048
"""Rows and columns of the matrices that measure the rate of products."""
FLOATS = 64_000_000
"""Numbers that are moved to measure the bandwidth: far more than caches hold."""


@dataclass(frozen=True)
class Machine:
    """What a figure depends on."""

    processor: str
    threads: int
    gflops: float
    """Measured rate of products of single precision, 10⁹ operations a second."""
    gbytes: float
    """Measured bandwidth of memory, reading and writing, 10⁹ bytes a second."""
    clusterseq: str
    python: str
    torch: str
    numpy: str
    polars: str

    def to_dict(self) -> dict[str, object]:
        """The same as JSON holds it."""
        return asdict(self)


@cache
def machine() -> Machine:
    """Measure this machine, with the threads that the tensor library has now."""
    return Machine(
        processor=_processor(),
        threads=torch.get_num_threads(),
        gflops=matmul_gflops(),
        gbytes=memory_gbytes(),
        clusterseq=__version__,
        python=sys.version.split()[0],
        torch=torch.__version__,
        numpy=numpy.__version__,
        polars=polars.__version__,
    )


def matmul_gflops(side: int = SIDE) -> float:
    """Products of two square matrices: 2 n³ operations each."""
    one, two = torch.randn(side, side), torch.randn(side, side)
    return 2 * side**3 / seconds(lambda: one @ two) / 1e9


def memory_gbytes(floats: int = FLOATS) -> float:
    """Adding one to every number: each is read and written once."""
    numbers = torch.zeros(floats)
    return 2 * numbers.nbytes / seconds(lambda: numbers.add_(1.0)) / 1e9


def _processor() -> str:
    """Its name and the wide instructions that it has, as Linux tells them."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    facts = {name.strip(): value for name, _, value in (line.partition(": ") for line in lines)}
    able = set(facts.get("flags", "").split())
    wide = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in able]
    return " ".join([facts.get("model name", platform.machine()), *wide])
