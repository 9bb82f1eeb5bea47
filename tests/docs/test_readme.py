"""What the README shows in Python runs as it stands, on a file of events with its items."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

README = Path(__file__).parents[2] / "README.md"
ITEMS = ["milk", "bread", "tea", "jam", "cream", *(f"thing-{place}" for place in range(20))]


def python_of_the_readme() -> str:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 1
    return str(blocks[0])


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    rows = [
        f"person-{person},{ITEMS[item]},{60 * (1000 * person + place)}"
        for person in range(80)
        for place, item in enumerate(generator.permutation(len(ITEMS))[:8])
    ]
    monkeypatch.chdir(tmp_path)
    Path("events.csv").write_text("user,item,time\n" + "\n".join(rows) + "\n")
    names: dict[str, object] = {}
    code = compile(
        python_of_the_readme() + '\nfound = recommender.recommend(["milk"], k=3)\n',
        "README",
        "exec",
    )
    exec(code, names)  # the block is the project's own
    assert len(list(names["found"].items)) == 3  # type: ignore[attr-defined]
    assert (tmp_path / "my-model" / "model.safetensors").exists()
