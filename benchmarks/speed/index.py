"""One newcomer by an index, beside all items, at growing catalogues; one thread.

Item vectors lie in groups, as trained ones do; weights are otherwise untrained. The share of the
true ten best that is found is measured on other people than those that the index was tuned by.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.speed.figures import Figure, seconds
from benchmarks.speed.settings import model_of
from benchmarks.speed.world import people
from clusterseq.data.histories import Histories
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.index import BEST, Index
from clusterseq.model.indexing import index_of
from clusterseq.model.ranker import Ranker

SECTION = "index"
SIZES = (10_000, 100_000, 1_000_000)
GROUP = 200
"""Items whose vectors are alike."""
PEOPLE = 100
NOBODY = np.empty(0, dtype=np.int64)


def run() -> Iterator[Figure]:
    """Milliseconds with and without, the share found, and what building costs."""
    import faiss

    for items in SIZES:
        model = _model(items)
        begun = time.perf_counter()
        index = index_of(model)
        case = f"{items:,} items, 4 × 128"
        yield Figure(SECTION, f"building, {case}", time.perf_counter() - begun, "s")
        torch.set_num_threads(1)
        faiss.omp_set_num_threads(1)
        with tempfile.TemporaryDirectory() as folder:
            index.save(Path(folder), "")
            mapped = Index.load(Path(folder), "")
            assert mapped is not None, "it was saved a moment ago"
            yield from _served(model, mapped, case)


def _served(model: ClusterSeq, index: Index, case: str) -> Iterator[Figure]:
    touched = people(PEOPLE, model.n_items, seed=2)
    histories = [Histories.from_lists([row[:3]]) for row in touched]
    found, spent = {}, {}
    for name, ranker in (("all", Ranker(model)), ("index", Ranker(model, index))):
        best = partial(_best, ranker)
        found[name] = [set(best(one)) for one in histories]
        each = [seconds(partial(best, one), runs=1, warm=0) for one in histories]
        spent[name] = 1000 * float(np.median(each))
    pairs = zip(found["all"], found["index"], strict=True)
    recall = sum(len(a & b) for a, b in pairs) / (BEST * len(histories))
    faster = spent["all"] / spent["index"]
    yield Figure(SECTION, f"p50, {case}", spent["index"], "ms", "all items", faster)
    yield Figure(SECTION, f"ten best found, {case}", recall, "share", target="value >= 0.99")


def _best(ranker: Ranker, history: Histories) -> list[int]:
    found = ranker.best(ranker.adapt(history), BEST, allowed=[None], refused=[NOBODY])
    named: list[int] = found.items[0].tolist()
    return named


def _model(items: int) -> ClusterSeq:
    model = model_of(people(items, items), items, members=4, dim=128)
    draws = torch.Generator().manual_seed(0)
    width = model.config.width
    for start in range(0, items, GROUP):
        size = min(GROUP, items - start)
        centre = torch.randn(width, generator=draws)
        noise = torch.randn(size, width, generator=draws)
        model.items.embedding.data[start : start + size] = centre + noise
    return model


if __name__ == "__main__":
    for figure in run():
        print(figure, flush=True)
