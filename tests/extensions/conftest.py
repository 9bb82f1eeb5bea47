"""The package of examples, installed for real in a folder that a test puts on the path."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples" / "extensions"
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
OFFLINE = ("--no-index", "--no-deps", "--no-build-isolation")


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the examples are installed; not yet on the path."""
    folder = tmp_path_factory.mktemp("examples")
    source = shutil.copytree(EXAMPLES, folder / "source")  # building leaves files beside it
    command = [*PIP, *OFFLINE, "--target", str(folder / "installed"), str(source)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return folder / "installed"


@pytest.fixture(scope="module")
def installed(package: Path) -> Iterator[Path]:
    """The same, seen by this process and by those that it starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(package))
        patch.setenv("PYTHONPATH", str(package))
        yield package
