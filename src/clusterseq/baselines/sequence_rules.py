"""Sequence rules: what came soon after the items of the history in other people's sequences.

After Ludewig & Jannach, "Evaluation of session-based recommendation algorithms" (UMUAI 2018, arXiv
1803.09587): a pair of items at most five apart in one sequence counts 1 / distance. A rule is
divided by how often its first item was touched, and the rules of all items of the history add up,
the newest item's with weight 1 and older ones' with linearly less.

Knows nothing about: who else touched something, and when.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Integer
from scipy import sparse
from torch import Tensor

from clusterseq.baselines.evidence import popularity_order, reached_first, recency_vectors
from clusterseq.data.graph import transitions
from clusterseq.data.histories import Histories
from clusterseq.data.sequences import Sequences


class SequenceRules:
    """Scores an item by how often it came after the items of the history."""

    needs_history = False

    def __init__(self, rules: sparse.csr_array, counts: Integer[np.ndarray, " items"]) -> None:
        """Take the rules, first × second item, and how often each item was touched."""
        self.rules = rules
        self.n_items = len(counts)
        self._unreached = popularity_order(counts)

    @classmethod
    def fit(cls, known: Sequences, n_items: int, *, shrinkage: float = 1.0) -> SequenceRules:
        """Count pairs; ``shrinkage`` adds to the count of the first item, against rare ones.

        >>> known = Sequences(np.int32([0, 1, 2]), np.arange(3), np.array([0, 3]))
        >>> SequenceRules.fit(known, n_items=3).rules.toarray().tolist()
        [[0.0, 0.5, 0.25], [0.0, 0.0, 0.5], [0.0, 0.0, 0.0]]
        """
        counts = known.counts(n_items)
        rules = sparse.diags_array(1 / (counts + shrinkage)) @ transitions(known, n_items)
        return cls(rules.tocsr().astype(np.float32), counts)

    def score(self, histories: Histories) -> Float[Tensor, "users items"]:
        """Sum the rules of the history: positive where one applies, negative elsewhere."""
        vectors = recency_vectors(histories, self.n_items)
        return reached_first((vectors @ self.rules).toarray(), self._unreached)
