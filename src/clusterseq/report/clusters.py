"""What the clusters are: how large, what is typical of them, how sure an assignment is, and a map.

Knows nothing about: drawing, files.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clusterseq.data.histories import Histories
from clusterseq.data.sequences import Sequences, evenly
from clusterseq.learning.checkpoint import Checkpoint
from clusterseq.using.atlas import Atlas

TYPICAL = 8
ON_THE_MAP = 2_500
SHOWN = 3
"""Items of each person that the model is shown, as newcomers bring."""


@dataclass(frozen=True)
class Cluster:
    """A learnt kind of people."""

    id: int
    size: float
    """Its share of the known users' events."""
    typical: list[str]
    """Titles or ids of items that are touched there more than elsewhere."""


@dataclass(frozen=True)
class Placed:
    """Some people on the map, and how they are assigned."""

    points: list[tuple[float, float, int]]
    """x, y, and the cluster that each belongs to most."""
    certainty: list[float]
    """Shares of the people whose largest share of a cluster is at most 0.1, 0.2, … 1."""


def clusters_of(checkpoint: Checkpoint, atlas: Atlas) -> list[Cluster]:
    """The clusters of a model, none for one without."""
    model = checkpoint.model
    if not model.config.clustering:
        return []
    typical = atlas.typical(TYPICAL).tolist()
    sizes = enumerate(model.cluster_sizes.tolist())
    return [
        Cluster(index, size, [checkpoint.label(item) for item in typical[index]])
        for index, size in sizes
    ]


def place(atlas: Atlas, people: Sequences) -> Placed:
    """Some people by their first items, as the model would see them at their third."""
    sample = people.select(evenly(np.flatnonzero(people.lengths > 0), ON_THE_MAP))
    histories = Histories.from_lists(row[:SHOWN] for row in sample)
    positions = atlas.people(histories).tolist()
    shares = atlas.model.assign(histories)
    highest = shares.max(dim=1)
    points = zip(positions, highest.indices.tolist(), strict=True)
    tops = highest.values.numpy()
    certainty = [float((tops <= bound / 10 + 1e-9).mean()) for bound in range(1, 11)]
    return Placed([(round(x, 4), round(y, 4), cluster) for (x, y), cluster in points], certainty)
