"""One person, compiled: how they are adapted to, and how the catalogue is scored roughly for them.

Uncompiled, either is hundreds of calls that do next to nothing. With many people at once products
are most of the work, and compiling gains nothing.

Knows nothing about: who is asked about, what may not be recommended, how a function is compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from clusterseq.data.evidence import SparseEvidence
from clusterseq.data.histories import Histories
from clusterseq.data.packing import Packing
from clusterseq.data.padded_evidence import PaddedEvidence
from clusterseq.machine.compiler import compiled
from clusterseq.model.adapted import Adapted
from clusterseq.model.catalogue import Catalogue, Preferences
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.screen import Screen

SHAPES = ((1, 1), (1, 2), (1, 3))
"""People and items of the histories that adaptation is compiled for."""
MOST_ITEMS = 200_000
"""In a larger catalogue the loop that a compiler makes of rough scores is slower than products, and
the memory's silence is no longer little."""


@dataclass(frozen=True, eq=False)
class OnePerson:
    """What is compiled of a model that no longer changes."""

    adapt: Callable[[Histories], tuple[Preferences, Float[Tensor, "kinds 1 items"] | None]]
    """What somebody looks for, and what the memory says to them."""
    rough: Callable[[Float[Tensor, "1 columns"]], tuple[Tensor, Tensor]] | None
    """``Screen.scores``."""

    @classmethod
    @torch.inference_mode()
    def of(cls, model: ClusterSeq, catalogue: Catalogue, screen: Screen | None) -> OnePerson | None:
        """Compile both; None of a catalogue that gains nothing.

        Raises:
            ConfigError: this machine can't.
        """
        if model.n_items > MOST_ITEMS:
            return None
        examples = [(Histories.from_lists(np.zeros(shape)).to(model.device),) for shape in SHAPES]
        adapt, rough = compiled(_adaptation(model, catalogue), examples), None
        if screen is not None:
            rough = compiled(screen.scores, [(catalogue.items.columns[:1].clone(),)])
        return cls(adapt, rough)

    def adapted(self, histories: Histories) -> Adapted:
        """Adapt to one person of such a history."""
        # Tensors that were made outside of inference mode would be compiled for anew.
        preferences, dense = self.adapt(histories.clone())
        evidence = None if dense is None else SparseEvidence.of(dense)
        return Adapted(preferences, evidence, histories.lengths == 0)


def _adaptation(
    model: ClusterSeq, catalogue: Catalogue
) -> Callable[[Histories], tuple[Preferences, Tensor | None]]:
    """All that adapting to somebody takes, in sizes that the compiler knows."""
    memory = model.memory
    longest = 0 if memory is None else memory.longest

    def adapt(histories: Histories) -> tuple[Preferences, Tensor | None]:
        evidence = None
        if memory is not None and longest:
            evidence = PaddedEvidence(memory, longest, histories)
        queries = model.encode(histories, catalogue.table, packing=Packing.full(histories))
        support_evidence = model.support_evidence(histories, catalogue, evidence)
        preferences = model.preferences(histories, queries, catalogue, support_evidence)
        return preferences, None if evidence is None else evidence.dense()

    return adapt
