"""Every line of Python that docs/extending.md shows stands in a file that is tested."""

from __future__ import annotations

import re
from pathlib import Path

from clusterseq import testing
from clusterseq.extensions import KINDS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")


def test_examples_are_those_that_are_tested() -> None:
    places = [
        *(ROOT / "examples" / "extensions").rglob("*"),
        *(ROOT / "tests/extensions").iterdir(),
    ]
    files = [path.read_text(encoding="utf-8") for path in places if path.suffix in (".py", ".toml")]
    blocks = re.findall(r"```(?:python|toml)\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 5
    for block in blocks:
        assert any(block in text for text in files), block


def test_every_group_and_contract_is_told_of() -> None:
    assert set(re.findall(r"`clusterseq\.(\w+)` \|", PAGE)) == set(KINDS)
    assert set(re.findall(r"`(\w+Contract)` \|", PAGE)) == {*testing.__all__} - {"Place"}
