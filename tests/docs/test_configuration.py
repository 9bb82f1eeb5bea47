"""The page of options says what the config classes say; this module can also write it anew.

``python tests/docs/test_configuration.py`` writes docs/configuration.md.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from clusterseq.config import DataConfig, ModelConfig, TrainConfig
from clusterseq.overrides import describe
from clusterseq.presets import PRESETS

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
TABLES = {"data": DataConfig, "model": ModelConfig, "train": TrainConfig}
HEAD = """# Options

Every option of the Python API, of a TOML file (`--config FILE.toml`) and of the command line's
`--set TABLE.NAME=VALUE`. A key that is not here is refused with the nearest one that is. The
columns `default`, `small` and `paper` are the presets (`--preset`); `n_items` is set by training.
"""


def page() -> str:
    """The whole page, from the docstrings of the fields and the presets."""
    parts = [HEAD]
    for table, kind in TABLES.items():
        rows = [f"\n## [{table}]\n", f"| option | {' | '.join(PRESETS)} | what it does |"]
        rows.append("|---" + "|--:" * len(PRESETS) + "|---|")
        told = describe(kind)
        presets = [getattr(preset, table) for preset in PRESETS.values()]
        for field in dataclasses.fields(kind):
            values = " | ".join(f"{getattr(one, field.name)}" for one in presets)
            rows.append(f"| `{field.name}` | {values} | {told[field.name]} |")
        parts.append("\n".join(rows) + "\n")
    return "".join(parts)


def test_the_page_holds_every_option_with_its_default() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_option_is_described() -> None:
    for kind in TABLES.values():
        assert set(describe(kind)) == {field.name for field in dataclasses.fields(kind)}


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
