"""A training that can't fit is refused before it starts, under a bound that is really set."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from clusterseq.machine import room


def test_a_container_may_have_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    bound, unbounded = tmp_path / "memory.max", tmp_path / "other"
    bound.write_text("1000000\n")
    unbounded.write_text("max\n")
    monkeypatch.setattr(room, "CGROUPS", (tmp_path / "absent", unbounded))
    assert room.memory_limit() == installed
    monkeypatch.setattr(room, "CGROUPS", (unbounded, bound))
    assert room.memory_limit() == 1_000_000


def test_a_process_may_have_less() -> None:
    whole, former = room.memory_limit(), resource.getrlimit(resource.RLIMIT_AS)
    assert whole is not None
    try:
        resource.setrlimit(resource.RLIMIT_AS, (whole - 1, former[1]))
        assert room.memory_limit() == whole - 1
    finally:
        resource.setrlimit(resource.RLIMIT_AS, former)
