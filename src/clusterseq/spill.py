"""Rows that are computed onto the disk and mapped from there, so that memory holds but a few.

Knows nothing about: what the rows are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl


@dataclass(frozen=True)
class Spill:
    """A folder for what doesn't fit in memory; whoever makes it takes it away."""

    folder: Path
    """Must exist and have room for the rows, uncompressed."""

    def __call__(self, rows: pl.LazyFrame) -> pl.DataFrame:
        """Compute rows part by part; what comes back lies on the disk and is read when needed."""
        path = self.folder / f"{len(list(self.folder.iterdir())):05}.arrow"
        rows.sink_ipc(path, compression="uncompressed")
        return pl.read_ipc(path)
