"""One newcomer of three items: adapt, rank the whole catalogue, give the ten best.

Beside it stands what would be the least without rough scores: one product in single precision with
the item vectors, and the top ten of what comes out. Batches say how many newcomers a second there
are where many come at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch

from benchmarks.speed.figures import Figure, each, percentile, seconds
from benchmarks.speed.machine import machine
from benchmarks.speed.settings import model_of, size_of
from benchmarks.speed.world import people
from clusterseq.data.histories import Histories
from clusterseq.model.ranker import Ranker
from clusterseq.presets import preset

SECTION = "newcomer"
SUPPORT, BEST, INNER_STEPS = 3, 10, 5
REQUESTS = {10_000: 10_000, 100_000: 10_000, 1_000_000: 1_000}
"""How many are timed at each size of a catalogue."""
LIMITS = {10_000: (2, 6), 100_000: (4, 10), 1_000_000: (20, 40)}
"""For each size of a catalogue, the milliseconds that are asked for: median and 99th percentile."""
TOGETHER = 12_000
"""Items where many people come at once."""
NARROW = (1, 64)
WIDTHS = {
    10_000: [*(size_of(preset(name).model) for name in ("default", "small")), NARROW],
    100_000: [NARROW],
    1_000_000: [NARROW],
}
"""Members and widths at each size: those of presets, and for larger ones a narrower model."""


def run(sizes: tuple[int, ...] = tuple(LIMITS)) -> Iterator[Figure]:
    """Percentiles of one request, on one thread, and newcomers a second in batches."""
    for n_items in sizes:
        known = people(min(n_items, 200_000), n_items)
        for members, dim in WIDTHS[n_items]:
            model = model_of(known, n_items, members=members, dim=dim, inner_steps=INNER_STEPS)
            ranker, case = Ranker(model), f"{n_items:,} items, {members} × {dim}"
            yield from _alone(ranker, case, *LIMITS[n_items])
            if n_items <= 100_000:
                compiled = f"{case}, compiled"
                yield from _alone(ranker, compiled, *LIMITS[n_items], prepare=ranker.compile)
    known = people(TOGETHER, TOGETHER)
    for members, dim in WIDTHS[10_000]:
        model = model_of(known, TOGETHER, members=members, dim=dim, inner_steps=INNER_STEPS)
        yield from _together(Ranker(model), f"{TOGETHER:,} items, {members} × {dim}")


def _alone(
    ranker: Ranker,
    case: str,
    median: float,
    rare: float,
    prepare: Callable[[], None] = lambda: None,
) -> Iterator[Figure]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    prepare()
    # Dimension by dimension, as such a product takes half as long.
    vectors = ranker.catalogue.items.vectors.T.contiguous().T
    query = torch.randn(vectors.shape[1])
    floor = 1000 * seconds(lambda: torch.mv(vectors, query).topk(BEST), runs=50)
    requests = range(REQUESTS[ranker.n_items])
    took = each([partial(best, ranker, newcomers(1, ranker.n_items, seed)) for seed in requests])
    torch.set_num_threads(threads)
    half, most = (1000 * percentile(took, share) for share in (0.5, 0.99))
    rival = "product and top ten alone"
    yield Figure(SECTION, f"p50, {case}", half, "ms", rival, floor / half, f"value <= {median}")
    yield Figure(SECTION, f"p99, {case}", most, "ms", rival, floor / most, f"value <= {rare}")


def _together(ranker: Ranker, where: str) -> Iterator[Figure]:
    work = 2 * ranker.n_items * ranker.catalogue.items.columns.shape[1] / 1e9
    for many in (64, 1_024):
        speed = many / seconds(partial(best, ranker, newcomers(many, ranker.n_items, 0)))
        share = speed * work / machine().gflops
        case = f"{many:,} at once, {where}"
        target = "value >= 5000" if many > 64 else ""
        yield Figure(SECTION, case, speed, "users/s", "measured rate of products", share, target)


def newcomers(people_at_once: int, n_items: int, seed: int) -> Histories:
    """Histories of three items each."""
    drawn = np.random.default_rng(seed).integers(0, n_items, (people_at_once, SUPPORT))
    return Histories.from_lists(drawn)


def best(ranker: Ranker, histories: Histories) -> None:
    """As everybody's recommendations are made; the histories are of equal lengths."""
    for rows in ranker.parts(len(histories)):
        part = histories[rows]
        refused = list(part.items.numpy())
        ranker.best(ranker.adapt(part), BEST, allowed=[None] * len(part), refused=refused)
