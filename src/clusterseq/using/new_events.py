"""Whether events are new to a model: those of its training, those of an update, or others.

Knows nothing about: training, files.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress

from clusterseq.config import DataConfig
from clusterseq.data.dataset import Data
from clusterseq.data.split import Split
from clusterseq.errors import DataError
from clusterseq.learning.checkpoint import Checkpoint
from clusterseq.using.evaluation import split_events, taught


def new_batch(checkpoint: Checkpoint, events: Data) -> str:
    """What tells these events from others, however they are split and filtered.

    Raises:
        DataError: the model was trained on them or updated with them.
    """
    origin = checkpoint.provenance
    batch = _digest(split_events(events, DataConfig(split="none"), seed=0))
    known = batch in origin.updated_by
    with suppress(DataError):  # too few for that split: they aren't those of the training
        known = known or taught(
            checkpoint, split_events(events, checkpoint.config.data, origin.seed)
        )
    if known:
        raise DataError(
            "the model has these events already; adding them again would count them twice, so "
            "give the events since"
        )
    return batch


def _digest(split: Split) -> str:
    """Of who touched what and when; the people alone may be the same every day."""
    digest = hashlib.sha256(split.fingerprint.encode())
    for raw in split.items.ids:
        digest.update(f"{raw}\0".encode("utf-8", "surrogatepass"))
    digest.update(split.known.items.astype("<i4").tobytes())
    digest.update(split.known.times.astype("<i8").tobytes())
    return digest.hexdigest()
