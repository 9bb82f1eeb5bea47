"""Simple models that every learnt one has to beat, behind the same ``Scorer``.

Knows nothing about: evaluation, training.
"""

from __future__ import annotations

from clusterseq.baselines.popularity import Popularity
from clusterseq.baselines.session_knn import SessionKNN

__all__ = ["Popularity", "SessionKNN"]
