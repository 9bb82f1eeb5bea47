"""Run the core tests with other versions of what clusterseq needs, each in a new environment.

    python deploy/sweep.py [oldest] [newest] [--keep PACKAGE …]

Oldest are the least versions that pyproject.toml allows, newest those that pip finds. Of a package
that is kept the version in constraints.txt is taken; keep torch where pip finds only builds for an
accelerator. Old dependencies may warn; with the newest a warning is an error.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOOLS = (
    *("beartype", "faiss-cpu", "hypothesis", "pandas", "pyarrow", "pytest", "pytest-xdist"),
    *("scikit-learn", "threadpoolctl"),
)
"""What the core tests need besides."""
CORE = [
    "tests/model",
    *(f"tests/reading/test_{name}.py" for name in ("events", "events_errors", "titles")),
    *(
        f"tests/data/test_{name}.py"
        for name in ("prepare", "dataset", "split", "graph", "memory", "evidence")
    ),
    "tests/judging/test_evaluate.py",
    *(f"tests/learning/test_{name}.py" for name in ("train", "checkpoint")),
    *(f"tests/using/test_{name}.py" for name in ("update", "recommender", "batch")),
    *("tests/test_disk_full.py", "tests/test_compatibility.py", "tests/test_cli.py"),
]
NO_EXTRA = "not test_serve and not test_report"
"""Leaves out the commands that need an extra."""


def main() -> int:
    """Run the sweeps asked for; 1 if one of them fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sweeps", nargs="*", choices=["oldest", "newest"], default=[])
    parser.add_argument("--keep", nargs="*", default=[], metavar="PACKAGE")
    given = parser.parse_args()
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    versions = {"newest": pinned(given.keep)}
    versions["oldest"] = least(needed) | versions["newest"]
    failed = [
        name
        for name in given.sweeps or ["oldest", "newest"]
        if not passes(needed, versions[name], strict=name == "newest")
    ]
    print("failed: " + ", ".join(failed) if failed else "all passed")
    return bool(failed)


def least(needed: Iterable[str]) -> dict[str, str]:
    """The least version of each requirement.

    >>> least(["numpy>=2.0", "polars>=1.38.1,<3"])
    {'numpy': '2.0', 'polars': '1.38.1'}
    """
    return dict(re.findall(r"^([\w-]+)>=([\d.]+)", "\n".join(needed), re.MULTILINE))


def pinned(names: Iterable[str]) -> dict[str, str]:
    """The versions in constraints.txt of some packages."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = dict(line.split("==") for line in lines if not line.startswith("#"))
    return {name: found[name] for name in names}


def passes(needed: list[str], versions: dict[str, str], *, strict: bool) -> bool:
    """Whether the core tests pass with some versions, and with the newest of all others."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = str(Path(folder) / "bin" / "python")
        exact = [f"{name}=={version}" for name, version in versions.items()]
        pip = [python, "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "-q", *needed, *exact, *TOOLS], check=True)
        names = "|".join(re.match(r"[\w-]+", one)[0] for one in needed)  # type: ignore[index]
        told = subprocess.run([*pip, "freeze"], check=True, capture_output=True, text=True)
        print(
            sys.version, *re.findall(rf"^(?:{names})==.*$", told.stdout, re.MULTILINE), flush=True
        )
        return _tests(python, strict) == 0


def _tests(python: str, strict: bool) -> int:
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    warnings = [] if strict else ["-o", "filterwarnings=default"]
    options = ["-q", "-n", "2", "-p", "no:cacheprovider", "-k", NO_EXTRA, *warnings]
    command = [python, "-P", "-m", "pytest", *options, *CORE]
    return subprocess.run(command, cwd=ROOT, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
