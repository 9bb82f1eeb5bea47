"""Build a release so that the same commit gives the same bytes, and try it out.

    python deploy/release.py [DIRECTORY]

The sdist is packed anew with the commit's time, no owner and sorted names, and the wheel is built
from it. The wheel is installed with what is locked, run through the README's commands (trial.py),
and what it then consists of is written down as a bill of materials (CycloneDX). Sdist, wheel and
bill are made twice, and must come out equal. Needs build, twine and cyclonedx-bom.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from trial import LOCK, installed, try_out

ROOT = Path(__file__).resolve().parents[1]


def main(out: Path) -> None:
    """Build twice, compare, try, keep."""
    epoch = _commit_time()
    with tempfile.TemporaryDirectory() as folder:
        first, second = (_build(Path(folder) / name, epoch) for name in ("one", "two"))
        subprocess.run(["twine", "check", "--strict", *map(str, first)], check=True)
        (wheel,) = (path for path in first if path.suffix == ".whl")
        python = installed(Path(folder) / "environment", wheel)
        for built in (first, second):
            built.append(_bill(python, built[0].parent / f"{wheel.stem}.cdx.json", epoch))
        sums = [{path.name: _digest(path) for path in built} for built in (first, second)]
        if sums[0] != sums[1]:
            raise SystemExit(f"two builds of one commit differ: {sums}")
        try_out(python, Path(folder))
        out.mkdir(parents=True, exist_ok=True)
        for path in (*first, LOCK):
            (out / path.name).write_bytes(path.read_bytes())
    sums[0][LOCK.name] = _digest(LOCK)
    lines = [f"{digest}  {name}\n" for name, digest in sorted(sums[0].items())]
    (out / "SHA256SUMS").write_text("".join(lines))
    print("".join(lines), end="")


def _bill(python: Path, path: Path, epoch: int) -> Path:
    """What an environment consists of: versions, licences, and who needs whom."""
    about = ["--pyproject", str(ROOT / "pyproject.toml"), "--mc-type", "library"]
    command = ["cyclonedx-py", "environment", str(python), *about, "--output-reproducible"]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    subprocess.run([*command, "-o", str(path)], check=True, env=environment)
    return path


def _build(folder: Path, epoch: int) -> list[Path]:
    """The sdist of the working tree, and the wheel made from it."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    build = [sys.executable, "-m", "build", "--outdir", str(folder)]
    subprocess.run(
        [*build, "--sdist", str(ROOT)], check=True, env=environment, stdout=subprocess.DEVNULL
    )
    (sdist,) = folder.glob("*.tar.gz")
    sdist.write_bytes(_packed_anew(sdist.read_bytes(), epoch))
    with tempfile.TemporaryDirectory() as unpacked, tarfile.open(sdist) as archive:
        archive.extractall(unpacked, filter="data")
        (source,) = Path(unpacked).iterdir()
        subprocess.run(
            [*build, "--wheel", str(source)], check=True, env=environment, stdout=subprocess.DEVNULL
        )
    return sorted(folder.iterdir())


def _packed_anew(content: bytes, epoch: int) -> bytes:
    """The same files, with nothing in the archive that depends on who built it and when."""
    packed = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(content)) as source,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as target,
    ):
        for member in sorted(source.getmembers(), key=lambda one: one.name):
            member.mtime, member.uid, member.gid = epoch, 0, 0
            member.uname = member.gname = ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            member.pax_headers = {}
            target.addfile(member, source.extractfile(member) if member.isfile() else None)
    return gzip.compress(packed.getvalue(), compresslevel=9, mtime=epoch)


def _commit_time() -> int:
    told = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return int(told.stdout)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist")
