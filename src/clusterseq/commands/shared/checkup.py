"""Whether this machine has what clusterseq needs: versions, processors, memory, extras, a store.

Knows nothing about: models, how findings are shown.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal, TypeAlias

import torch

from clusterseq.errors import ClusterSeqError
from clusterseq.extensions import KINDS, Extension, extensions

State: TypeAlias = Literal["fine", "note", "wrong"]
NEEDED = ("torch", "numpy", "scipy", "polars", "safetensors")
EXTRAS: Mapping[str, tuple[str, ...]] = {
    "serve": ("fastapi", "uvicorn"),
    "bench": ("matplotlib", "implicit"),
    "report": ("matplotlib",),
    "postgresql": ("adbc_driver_postgresql", "pyarrow"),
    "ray": ("ray", "pandas"),
    "ann": ("faiss",),
    "tune": ("optuna", "matplotlib"),
    "tensorboard": ("tensorboard",),
    "storage": ("obstore",),
    "mlflow": ("mlflow", "sqlalchemy"),
}
"""What each extra brings, by the names it is imported by."""
LEAST_MEMORY = 2 * 2**30
"""Bytes that training a small catalogue takes."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    state: State
    """fine, a note that something could be better, or wrong: something won't work."""
    told: str
    """What was found, and what to do if it isn't fine."""


def examine(store: str | None = None) -> Iterator[Finding]:
    """Look at everything; at a store only if its address is given."""
    yield Finding("python", "fine", f"{platform.python_version()} on {platform.platform()}")
    for name in NEEDED:
        yield _package(name)
    yield _processors()
    yield _memory()
    yield _accelerator()
    for extra, modules in EXTRAS.items():
        yield _extra(extra, modules)
    for kind in KINDS:
        for extension in extensions(kind):
            yield _extension(extension)
    if store is not None:
        yield _store(store)


def _package(name: str) -> Finding:
    try:
        return Finding(name, "fine", version(name))
    except PackageNotFoundError:
        return Finding(name, "wrong", f"not installed; pip install {name}")


def _processors() -> Finding:
    """Threads beyond the processors wait for each other, which costs a factor and not a share."""
    available = _available()
    used = torch.get_num_threads()
    summary = f"{available} processors, {used} threads"
    if used > available:
        return Finding("threads", "wrong", f"{summary}; set OMP_NUM_THREADS={available}")
    return Finding("threads", "fine", summary)


def _available() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> Finding:
    facts = Path("/proc/meminfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    available = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")]
    if not available:
        return Finding("memory", "note", "this system doesn't tell how much is free")
    summary = f"{available[0] / 2**30:.1f} GiB free"
    if available[0] < LEAST_MEMORY:
        return Finding("memory", "note", f"{summary}; training takes 2 GiB or more, serving less")
    return Finding("memory", "fine", summary)


def _accelerator() -> Finding:
    if torch.cuda.is_available():
        names = {torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())}
        return Finding("accelerator", "fine", f"{', '.join(sorted(names))}; train --device cuda")
    return Finding("accelerator", "fine", "none, and none is needed")


def _extra(extra: str, modules: tuple[str, ...]) -> Finding:
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        advice = f"pip install 'clusterseq[{extra}]'"
        return Finding(f"extra {extra}", "note", f"without {', '.join(missing)}; {advice}")
    return Finding(f"extra {extra}", "fine", "installed")


def _extension(extension: Extension) -> Finding:
    try:
        extension.load()
    except ClusterSeqError as error:
        return Finding("extension", "wrong", str(error))
    return Finding("extension", "fine", str(extension))


def _store(address: str) -> Finding:
    """Whether it answers; the address isn't repeated, because it may hold a password."""
    try:
        from clusterseq.service.store import Retention, open_store
    except ImportError:
        return Finding("store", "wrong", "needs the extra serve: pip install 'clusterseq[serve]'")
    if "://" not in address and ":" not in address and not Path(address).exists():
        if not Path(address).absolute().parent.is_dir():
            return Finding("store", "wrong", f"{address}: no such folder; name one that exists")
        return Finding("store", "note", f"{address} isn't there yet; serve makes it")
    try:
        with contextlib.closing(open_store(address, Retention())) as store:
            store.ping()
    except ClusterSeqError as error:
        return Finding("store", "wrong", str(error))
    return Finding("store", "fine", "answers")
