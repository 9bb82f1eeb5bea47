"""One split of a data set as plain arrays in one file, so that every model gets the same people.

Knows nothing about: events, raw ids, models.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64
from safetensors import SafetensorError
from safetensors.numpy import load, save

from clusterseq.baselines.peer import Setting
from clusterseq.data.sequences import Sequences
from clusterseq.data.split import Split
from clusterseq.errors import DataError
from clusterseq.machine.accelerator import CPU
from clusterseq.machine.files import write_whole

PARTS = ("known", "validation", "test")
ARRAYS = ("items", "times", "offsets")


@dataclass(frozen=True, eq=False)
class SplitArrays:
    """What a split comes to once raw ids are left behind."""

    known: Sequences
    """What models may be trained on."""
    validation: Sequences
    """New users for tuning and early stopping."""
    test: Sequences
    """New users to be scored once."""
    test_users: Int64[np.ndarray, " test"]
    """Index in the data set of each test user, the same person whatever the seed."""
    n_items: int
    """Size of the catalogue."""
    coverage: float
    """Share of the new users' events whose item is in the catalogue."""

    @classmethod
    def from_split(cls, split: Split) -> SplitArrays:
        """Keep of a split what judging needs."""
        return cls(
            split.known,
            split.validation,
            split.test,
            split.test_users,
            len(split.items),
            split.coverage,
        )

    def setting(self, seed: int, device: torch.device = CPU) -> Setting:
        """What a peer is given."""
        return Setting(self.known, self.validation, self.n_items, seed, device)

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        arrays = {
            f"{part}.{name}": np.ascontiguousarray(getattr(getattr(self, part), name))
            for part in PARTS
            for name in ARRAYS
        }
        arrays |= {
            "test_users": np.ascontiguousarray(self.test_users),
            "n_items": np.array([self.n_items]),
            "coverage": np.array([self.coverage]),
        }
        write_whole(path, save(arrays))

    @classmethod
    def load(cls, path: Path) -> SplitArrays:
        """Read what ``save`` has written.

        Raises:
            DataError: the file is missing or damaged.
        """
        try:
            arrays = load(path.read_bytes())
            known, validation, test = (
                Sequences(*(arrays[f"{part}.{name}"] for name in ARRAYS)) for part in PARTS
            )
            users, n_items = arrays["test_users"], int(arrays["n_items"][0])
            return cls(known, validation, test, users, n_items, float(arrays["coverage"][0]))
        except (OSError, KeyError, SafetensorError) as error:
            raise DataError(f"{path}: can't be read; delete it and run the bench again") from error
