"""``make bench``, or ``python -m benchmarks.speed [SECTION …] [--threads N] [--out DIRECTORY]``.

Each section runs in a process of its own, so that none pays for another's memory.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.speed.figures import Figure

SECTIONS = (
    "meta_step",
    "pretraining",
    "newcomer",
    "index",
    "evaluation",
    "ingest",
    "prepare",
    "service",
    "growth",
    "dominant",
    "accelerator",
)
LONG = ("soak",)
"""Sections that run only if they are asked for."""
HERE = Path(__file__).resolve().parents[1]


def main() -> None:
    """Run some sections, or all, and write what they found."""
    about = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=about)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS + LONG))
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of all libraries")
    parser.add_argument("--minutes", type=int, default=10, help="how long soak goes on")
    parser.add_argument("--out", type=Path, default=HERE, help="where RESULTS.md and .json go")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    unknown = set(given.sections) - set(SECTIONS + LONG)
    if unknown:
        parser.error(
            f"there is no section {min(unknown)}; choose from {', '.join(SECTIONS + LONG)}"
        )
    if given.alone:
        _measure(given.sections[0], given.threads, given.minutes)
        return
    given.out.mkdir(parents=True, exist_ok=True)
    for section in given.sections or SECTIONS:
        found = _in_a_process(section, given.threads, given.minutes)
        if found["figures"]:  # there may be no accelerator
            _keep(given.out, section, found)


def _measure(section: str, threads: int, minutes: int) -> None:
    """Print a section's figures as lines of JSON."""
    import torch

    from benchmarks.speed.machine import machine

    torch.set_num_threads(threads)
    print(json.dumps({"machine": machine().to_dict()}), flush=True)
    options = {"minutes": minutes} if section in LONG else {}
    for figure in importlib.import_module(f"benchmarks.speed.{section}").run(**options):
        print(json.dumps(asdict(figure)), flush=True)


def _in_a_process(section: str, threads: int, minutes: int) -> dict[str, object]:
    """Run a section and show its figures as they come."""
    limits = {name: str(threads) for name in ("OMP_NUM_THREADS", "POLARS_MAX_THREADS")}
    command = [sys.executable, "-m", "benchmarks.speed", section, "--alone"]
    command += ["--threads", str(threads), "--minutes", str(minutes)]
    figures, machine = [], {}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **limits}
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            told = json.loads(line)
            if "machine" in told:
                machine = told["machine"]
                continue
            figures.append(told)
            print(_line(Figure(**told)), flush=True)
    if process.returncode:
        raise SystemExit(f"{section} failed; what it had measured is not kept")
    return {"machine": machine, "figures": figures}


def _line(figure: Figure) -> str:
    beside = f"  {figure.ratio:8.2f} × {figure.rival}" if figure.ratio is not None else ""
    asked = (
        "" if figure.met is None else f"  [{figure.target}: {'met' if figure.met else 'NOT MET'}]"
    )
    return f"{figure.section}: {figure.name}  {figure.value:,.4g} {figure.unit}{beside}{asked}"


def _keep(out: Path, section: str, found: dict[str, object]) -> None:
    """Put a section in the place of its former figures, and write the table anew."""
    from benchmarks.speed.table import markdown

    path = out / "results.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    results[section] = found
    ordered = {name: results[name] for name in SECTIONS + LONG if name in results}
    path.write_text(json.dumps(ordered, indent=1) + "\n")
    (out / "RESULTS.md").write_text(markdown(ordered))
    if section == "growth":
        from benchmarks.speed.plot import draw_growth

        draw_growth(found, out / "growth.svg")


if __name__ == "__main__":
    main()
