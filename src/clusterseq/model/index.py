"""Approximate retrieval for huge catalogues: the items whose product with a query is large.

An inverted file (Faiss): items lie in lists around centres, and a query looks at the nearest lists
alone. How many that are is found when the index is built: the fewest that still find nearly all of
the true best items for sample queries, by measurement and not by rule. The file is mapped into
memory, not read.

Knows nothing about: models, raw ids, why an item may not be recommended.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from clusterseq.errors import CheckpointError, DataError
from clusterseq.machine.extras import require_extra
from clusterseq.machine.files import put_in_place, write_whole

FILE, ABOUT = "index.faiss", "index.json"
RECALL = 0.995
"""Share of the true ten best that sample queries must find."""
BEST = 10
LISTS_PER_ROOT = 4
"""Lists by the square root of the items."""
TRAINED_ON = 40
"""Items per list that the centres are found by."""
FEWEST = 1_000
"""Smaller catalogues have no use for an index."""


@dataclass(frozen=True, eq=False)
class Index:
    """A built index."""

    lists: Any
    """Faiss' own."""
    recall: float
    """Share of the true ten best that sample queries found when it was built."""

    @classmethod
    def build(
        cls,
        columns: Float32[np.ndarray, "items columns"],
        queries: Float32[np.ndarray, "samples columns"],
    ) -> Index:
        """Index items, for queries like the sample.

        Raises:
            ConfigError: Faiss is not installed.
            DataError: there are too few items.
        """
        if len(columns) < FEWEST:
            raise DataError(
                f"{len(columns)} items need no index; all of them are ranked in a millisecond"
            )
        faiss = needed_faiss()
        n_lists = int(LISTS_PER_ROOT * math.sqrt(len(columns)))
        metric = faiss.METRIC_INNER_PRODUCT
        quantiser = faiss.IndexFlatIP(columns.shape[1])
        lists = faiss.IndexIVFFlat(quantiser, columns.shape[1], n_lists, metric)
        lists.cp.seed, lists.cp.min_points_per_centroid = 1, 1
        generator = np.random.default_rng(0)
        size = min(len(columns), TRAINED_ON * n_lists)
        lists.train(columns[np.sort(generator.choice(len(columns), size, replace=False))])
        lists.add(columns)
        best = np.stack([_best(query, columns) for query in queries])
        recall, lists.nprobe = 0.0, 1
        while (recall := _recall(lists, queries, best)) < RECALL and lists.nprobe < n_lists:
            lists.nprobe = min(n_lists, lists.nprobe + lists.nprobe // 2 + 1)
        return cls(lists, recall)

    def save(self, directory: Path, content: str) -> None:
        """Write it beside the model whose content it belongs to.

        A service may have mapped the former one, whose file is replaced and never written to.

        Raises:
            DataError: the place can't be written; what was there before is kept.
        """
        about = {"content": content, "lists_looked_at": self.lists.nprobe, "recall": self.recall}
        draft = directory / f".{FILE}.{os.getpid()}.new"
        try:
            needed_faiss().write_index(self.lists, str(draft))
            put_in_place(draft, directory / FILE)
        except (OSError, RuntimeError) as error:  # Faiss raises the second, also for a full disk
            draft.unlink(missing_ok=True)
            raise DataError(
                f"{directory / FILE}: can't be written ({str(error).splitlines()[-1][:120]}); free "
                "some room, or name a model in a place that can be written",
                code="output",
            ) from error
        write_whole(directory / ABOUT, (json.dumps(about, indent=2) + "\n").encode())

    @classmethod
    def load(cls, directory: Path, content: str) -> Index | None:
        """Map the index of a model; None if it has none.

        Raises:
            CheckpointError: it is another model's, or damaged.
            ConfigError: Faiss is not installed.
        """
        about = _about(directory / ABOUT)
        if about is None:
            return None
        if about.get("content") != content:
            raise CheckpointError(
                f"{directory / FILE}: built for another model than lies here; build it anew with "
                f"clusterseq index {directory}, or delete {ABOUT}"
            )
        faiss = needed_faiss()
        try:
            lists = faiss.read_index(str(directory / FILE), faiss.IO_FLAG_MMAP)
            lists.nprobe, recall = int(about["lists_looked_at"]), float(about["recall"])
        except (RuntimeError, KeyError, TypeError, ValueError) as error:
            reason = str(error).splitlines()[-1][:120]
            raise CheckpointError(
                f"{directory / FILE}: damaged ({reason}); build it anew with "
                f"clusterseq index {directory}"
            ) from error
        return cls(lists, recall)

    def nearest(
        self, queries: Float32[np.ndarray, "users columns"], k: int
    ) -> Int64[np.ndarray, "users k"]:
        """Items with large products, in no order that matters; −1 where too few were looked at."""
        items: Int64[np.ndarray, "users k"] = self.lists.search(queries, k)[1]
        return items


def _best(
    query: Float32[np.ndarray, " columns"], columns: Float32[np.ndarray, "items columns"]
) -> Int64[np.ndarray, " best"]:
    """The items that an index is to find, in any order."""
    return np.argpartition(columns @ -query, BEST - 1)[:BEST]


def _recall(lists: Any, queries: np.ndarray, best: Int64[np.ndarray, "samples best"]) -> float:
    retrieved = lists.search(queries, best.shape[1])[1]
    hits = [len(np.intersect1d(a, b)) for a, b in zip(retrieved, best, strict=True)]
    return float(np.sum(hits)) / best.size


def _about(path: Path) -> Mapping[str, Any] | None:
    try:
        about = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: damaged ({error}); build the index anew") from error
    return about if isinstance(about, dict) else {}


def needed_faiss() -> Any:
    """The library that indexes.

    Raises:
        ConfigError: it is not installed.
    """
    with require_extra("ann", "the model's index (clusterseq index MODEL --remove takes it away)"):
        import faiss
    return faiss
