"""A saved model, judged on the people of the split that it was trained under, or on strangers.

Knows nothing about: terminals, formats of files, how models learn and are saved.
"""

from __future__ import annotations

import numpy as np
import torch

from clusterseq.baselines.popularity import Popularity
from clusterseq.checks import whole
from clusterseq.config import DataConfig
from clusterseq.data.dataset import Data, dataset_of
from clusterseq.data.sequences import Sequences
from clusterseq.data.split import Split, all_new, split_users
from clusterseq.errors import ConfigError, DataError
from clusterseq.judging.scorer import Scorer
from clusterseq.learning.checkpoint import Checkpoint
from clusterseq.machine.progress import Progress
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.ranker import Ranker
from clusterseq.reading.vocab import UNKNOWN, Vocabulary
from clusterseq.using.comparison import CLUSTERSEQ, Comparison, compare, simple_models

PARTS = ("test", "validation")
ALL_NEW = "all-new"


def evaluate_checkpoint(
    checkpoint: Checkpoint,
    events: Data,
    *,
    k: int = 3,
    part: str = "test",
    all_new: bool = False,
    keep_seen: bool = False,
    baselines: bool = True,
    progress: Progress | None = None,
) -> Comparison:
    """Judge a model on the new users of the split that it was trained under.

    With ``all_new`` all people of the events count; then popularity is the one baseline,
    since neighbours would need the training data. With ``keep_seen`` items that were touched before
    compete, too.

    Raises:
        DataError: the events are not those it was trained on, or nobody has more than ``k``.
        ConfigError: ``k`` is no whole number or negative, or there is no such part.
    """
    k = whole("k", k)
    if part not in PARTS:
        raise ConfigError(f"part = {part!r} can't be used; give {' or '.join(PARTS)}")
    if all_new:
        return _judged_on_strangers(checkpoint, events, k, keep_seen, baselines, progress)
    split = split_of_training(checkpoint, events)
    people = split.test if part == "test" else split.validation
    return judged(
        checkpoint.model, split, people, k, progress, keep_seen=keep_seen, baselines=baselines
    )


def split_of_training(checkpoint: Checkpoint, events: Data) -> Split:
    """The split that a model was trained under, from the same events.

    Raises:
        DataError: they aren't the same events, or nobody was left out of the training.
    """
    origin = checkpoint.provenance
    if origin.updated_by:
        raise DataError(
            "the model was updated since its training, so no file has all that it knows; judge it "
            "on people it has never seen: evaluate --all-new",
            code="split",
        )
    try:
        split = split_events(events, checkpoint.config.data, origin.seed)
    except DataError as error:
        if str(error.code) != "split":
            raise
        raise _of_others(f"({str(error).partition(';')[0]})") from error
    checkpoint.items.require_kind_of(split.items)
    if not taught(checkpoint, split):
        raise _of_others()
    if split.kind == "none":
        raise DataError(
            "the model was trained on everyone in these events, so nobody is left to judge it; "
            "give other people's events and --all-new",
            code="split",
        )
    return split


def taught(checkpoint: Checkpoint, split: Split) -> bool:
    """Whether the known people of a split taught the model, with all that they touched."""
    same = split.fingerprint == checkpoint.provenance.fingerprint
    indices = checkpoint.items.encode_series(split.items.series)
    if not same or (indices == UNKNOWN).any():
        return False
    counts, known = split.known.counts(len(split.items)), checkpoint.item_counts[indices]
    if checkpoint.provenance.updated_by:  # which has added to them since
        return bool((counts <= known).all())
    return len(indices) == len(checkpoint.items) and np.array_equal(counts, known)


def _of_others(why: str = "") -> DataError:
    reason = f"the events aren't those that the model was trained on {why}".strip()
    return DataError(
        f"{reason}; give the file it was trained on, or use evaluate --all-new if everyone in this "
        "one is new to it",
        code="split",
    )


def split_events(
    events: Data, config: DataConfig, seed: int, catalogue: Vocabulary | None = None
) -> Split:
    """Filter events and split their users, as a configuration says.

    With a ``catalogue`` that a model knows already, new users keep its items too, and the filters
    are for other items alone: the rest has passed them before.

    Raises:
        DataError: nothing is left, or there are too few users for the split.
    """
    dataset = dataset_of(events)
    if catalogue is None:
        dataset = dataset.filtered(
            k_core=config.k_core,
            min_user_events=config.min_user_events,
            min_item_events=config.min_item_events,
        )
    else:
        rare = max(config.k_core, config.min_item_events)
        dataset = dataset.filtered(min_item_events=rare, known=catalogue)
    return split_users(
        dataset,
        config.split,
        seed=seed,
        new_share=config.new_share,
        validation_share=config.validation_share,
        catalogue=catalogue,
    )


def judged(
    model: ClusterSeq,
    split: Split,
    people: Sequences,
    k: int,
    progress: Progress | None,
    *,
    keep_seen: bool = False,
    baselines: bool = True,
) -> Comparison:
    """A model beside the simple ones, on some people of the split that it was trained under."""
    others = simple_models(split.known, len(split.items)) if baselines else {}
    return compare(
        {**others, CLUSTERSEQ: Ranker(model)},
        people,
        split=split.kind,
        coverage=split.coverage,
        item_counts=split.known.counts(len(split.items)),
        k=k,
        keep_seen=keep_seen,
        progress=progress,
    )


def _judged_on_strangers(
    checkpoint: Checkpoint,
    events: Data,
    k: int,
    keep_seen: bool,
    baselines: bool,
    progress: Progress | None,
) -> Comparison:
    people, coverage = all_new(dataset_of(events), checkpoint.items)
    counts = checkpoint.item_counts
    popularity = Popularity(torch.from_numpy(counts.astype(np.float64)))
    others: dict[str, Scorer] = {"popularity": popularity} if baselines else {}
    return compare(
        {**others, CLUSTERSEQ: Ranker(checkpoint.model)},
        people,
        split=ALL_NEW,
        coverage=coverage,
        item_counts=counts,
        k=k,
        keep_seen=keep_seen,
        progress=progress,
    )
