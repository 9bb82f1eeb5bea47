"""Rows that are computed onto the disk and mapped from there, so that memory holds but a few.

Knows nothing about: what the rows are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from clusterseq.errors import DataError
from clusterseq.machine.files import FULL


@dataclass(frozen=True)
class Spill:
    """A folder for what doesn't fit in memory; whoever makes it takes it away."""

    folder: Path
    """Must exist and have room for the rows, uncompressed."""

    def __call__(self, rows: pl.LazyFrame) -> pl.DataFrame:
        """Compute rows part by part; what comes back lies on the disk and is read when needed.

        Raises:
            DataError: there is no room on the disk.
        """
        path = self.folder / f"{len(list(self.folder.iterdir())):05}.arrow"
        try:
            rows.sink_ipc(path, compression="uncompressed")
        except OSError as error:
            # It may also be the input that can't be read, which is told by whoever reads it.
            if not any(f"os error {number})" in str(error) for number in FULL):
                raise
            raise DataError(
                f"{self.folder.parent}: no room for what is needed on the way ({error}); free "
                "about as much as the input takes as text, or name another place",
                code="output",
            ) from error
        return pl.read_ipc(path)
