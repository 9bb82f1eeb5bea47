"""What is released is what was tested: the lock, the pins and the declared versions agree."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "deploy" / "requirements.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINNED = {
    canonicalize_name(name): version
    for name, version in re.findall(
        r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE
    )
}
LOCKED = dict(re.findall(r"^([\w.-]+)==([\w.]+)", LOCK, re.MULTILINE))
"""Without the part behind a plus, which tells one build of a version from another."""


def requirements(*extras: str) -> list[Requirement]:
    optional = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in optional[extra])]
    return [Requirement(line) for line in lines if not line.startswith(PROJECT["name"])]


def test_the_lock_holds_the_versions_that_are_tested() -> None:
    for name in LOCKED:
        assert LOCKED[name] == PINNED[name], f"{name}: make lock"


def test_the_lock_holds_what_a_service_and_its_storage_need() -> None:
    for needed in requirements("serve", "storage"):
        assert LOCKED[needed.name] in needed.specifier, f"{needed}: make lock"


def test_everything_locked_has_its_hashes_and_no_address() -> None:
    assert "://" not in LOCK
    for entry in LOCK.replace("\\\n", " ").splitlines():
        if not entry.startswith("#"):
            assert re.fullmatch(r"\S+==\S+( +--hash=sha256:[0-9a-f]{64})+", entry), entry


@pytest.mark.parametrize("extra", PROJECT["optional-dependencies"])
def test_what_is_pinned_is_what_is_allowed(extra: str) -> None:
    for needed in requirements(extra):
        assert PINNED[canonicalize_name(needed.name)] in needed.specifier, str(needed)


def test_licences_go_along() -> None:
    assert {"LICENSE", "NOTICE"} <= set(PROJECT["license-files"])
    for name in PROJECT["license-files"]:
        assert (ROOT / name).is_file()


def test_every_command_of_make_is_told() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert phony is not None
    assert re.findall(r"^make (\w+) +\S", told.stdout, re.MULTILINE) == phony[1].split()
