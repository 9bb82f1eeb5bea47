"""Recommendations for people never seen: their items go in, ranked items come out, in raw ids.

Knows nothing about: users, training, files of histories.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, TypeAlias, overload

import numpy as np
import torch
from jaxtyping import Bool, Int, Int32, Int64
from torch import Tensor

from clusterseq.checks import whole
from clusterseq.data.histories import Histories
from clusterseq.errors import CheckpointError, ConfigError, DataError
from clusterseq.learning.checkpoint import Checkpoint, load_checkpoint
from clusterseq.machine.accelerator import CPU, device_named
from clusterseq.machine.directory import current_path
from clusterseq.model.index import Index
from clusterseq.model.ranker import Ranker
from clusterseq.model.retrieval import NOTHING, TopK
from clusterseq.reading.vocab import UNKNOWN, RawId, Vocabulary
from clusterseq.using import explanation
from clusterseq.using.given_ids import histories_of, ids_of
from clusterseq.using.recommendations import Because, Recommendation, Recommendations, Why

Row: TypeAlias = list[str] | list[int] | list[RawId] | tuple[RawId, ...]
"""One history of a batch."""
Codes: TypeAlias = Int[np.ndarray, " _"]
"""One history as indices; each of a batch has its own length."""


@dataclass(frozen=True, eq=False)
class Recommender:
    """A trained model ready for use; ``Recommender.load(directory)`` makes one."""

    checkpoint: Checkpoint
    """The model and its catalogue."""
    origin: tuple[str, str, bool] | None = None
    """What ``load`` was given, if it was loaded."""
    index: Index | None = None
    """What finds items of a huge catalogue; None looks at all of them."""
    process: int = field(default_factory=os.getpid, init=False, repr=False)
    """The process that it lives in; one that is forked from it can't use its threads."""

    @classmethod
    def load(
        cls, directory: str | Path, device: str = "cpu", *, compiled: bool = False
    ) -> Recommender:
        """Load a checkpoint, without the training data.

        Args:
            device: where it computes: cpu, cuda or cuda:1.
            compiled: compile how a single person of up to three items is adapted to and ranked,
                which takes a minute, and seconds when it has been done before; needs a compiler of
                C++, and does nothing beyond 200,000 items.

        Raises:
            CheckpointError: it is missing, damaged or of a newer version.
            ConfigError: the device can't be used, or the model can't be compiled.
        """
        torch_device = device_named(device)
        checkpoint = load_checkpoint(directory)
        checkpoint.model.on(torch_device)
        index = None
        if torch_device == CPU:
            index = Index.load(current_path(directory), checkpoint.content)
        recommender = cls(checkpoint, (str(Path(directory).resolve()), device, compiled), index)
        if compiled:
            recommender.ranker.compile()
        return recommender

    def __reduce__(self) -> tuple[Any, ...]:
        """What travels to another process is where it lies; there it is loaded once and kept."""
        if self.origin is None:
            raise DataError(
                "a model that isn't saved can't be pickled, copied or sent to other processes; "
                "save it, and load it from its directory"
            )
        return _loaded, (*self.origin, self.checkpoint.content)

    @cached_property
    def ranker(self) -> Ranker:
        """The model with its catalogue made ready, which happens at the first recommendation."""
        return Ranker(self.checkpoint.model, self.index)

    @property
    def items(self) -> Vocabulary:
        """The catalogue."""
        return self.checkpoint.items

    @overload
    def recommend(
        self,
        history: Sequence[RawId],
        k: int = ...,
        *,
        exclude: Iterable[RawId] = ...,
        only: Iterable[RawId] | None = ...,
        filter_seen: bool = ...,
        explain: bool = ...,
    ) -> Recommendations: ...

    @overload
    def recommend(
        self,
        history: Sequence[Row],
        k: int = ...,
        *,
        exclude: Iterable[RawId] = ...,
        only: Iterable[RawId] | None = ...,
        filter_seen: bool = ...,
        explain: bool = ...,
    ) -> list[Recommendations]: ...

    def recommend(
        self,
        history: Any,
        k: int = 10,
        *,
        exclude: Iterable[RawId] = (),
        only: Iterable[RawId] | None = None,
        filter_seen: bool = True,
        explain: bool = False,
    ) -> Recommendations | list[Recommendations]:
        """Recommend ``k`` items to one person, or to each person of a list of histories.

        An empty history gets what fits the clusters on the whole. A ``k`` beyond the catalogue
        means the catalogue. The filters hold for everybody in the call.

        Args:
            history: raw item ids, oldest first, or a list of such lists; also as an array, a
                column or a tensor. None and NaN are passed over.
            exclude: items never to recommend.
            only: the items to choose from; None for all.
            filter_seen: leave out what is in the person's own history.
            explain: say why of every item; each person is adapted to once more for every item of
                their history.

        Raises:
            DataError: ``history``, ``exclude`` or ``only`` isn't a list of ids.
            ConfigError: ``k`` is no whole number or below 1, or this process was forked from the
                one that loaded the model.
        """
        k = whole("k", k, least=1)
        batch, single = histories_of(history)
        allowed = self.allowed(exclude, only)
        if not batch:
            return []
        results = self._recommended(batch, k, allowed, filter_seen=filter_seen, explained=explain)
        return results[0] if single else results

    def allowed(
        self, exclude: Iterable[RawId] = (), only: Iterable[RawId] | None = None
    ) -> Bool[Tensor, " items"]:
        """Which items two lists of raw ids leave; unknown ids in them change nothing."""
        mask = torch.full((len(self.items),), only is None)
        if only is not None:
            mask[self._known(ids_of(only, "only"))] = True
        mask[self._known(ids_of(exclude, "exclude"))] = False
        return mask

    def best(
        self,
        rows: Sequence[Codes],
        k: int,
        *,
        allowed: Bool[Tensor, " items"],
        filter_seen: bool = True,
    ) -> TopK:
        """The best ``k`` items for each of some histories of item indices, all at once.

        Raises:
            ConfigError: this process was forked from the one that loaded the model.
        """
        self._require_own_threads()
        mask = None if bool(allowed.all()) else allowed
        seen = [np.asarray(row if filter_seen else [], dtype=np.int64) for row in rows]
        histories = self._newest(rows)
        tops = [
            self.ranker.best(
                self.ranker.adapt(histories[part]),
                k,
                allowed=[mask] * len(seen[part]),
                refused=seen[part],
            )
            for part in self.ranker.parts(len(rows))
        ]
        return TopK(torch.cat([top.items for top in tops]), torch.cat([top.scores for top in tops]))

    def _require_own_threads(self) -> None:
        """PyTorch would wait for ever for threads that a fork has left behind."""
        if self.process != os.getpid() and torch.get_num_threads() > 1:
            raise ConfigError(
                "the model was loaded before this process was forked; start processes by "
                "multiprocessing.get_context('spawn'), or load it in each of them"
            )

    def _recommended(
        self,
        histories: list[list[RawId]],
        k: int,
        allowed: Bool[Tensor, " items"],
        *,
        filter_seen: bool,
        explained: bool,
    ) -> list[Recommendations]:
        codes = [self.items.encode(history) for history in histories]
        rows = [row[row != UNKNOWN] for row in codes]
        best = self.best(rows, k, allowed=allowed, filter_seen=filter_seen)
        clusters = self._clusters(rows)
        return [
            Recommendations(
                items=self._named(items[items != NOTHING], scores, known if explained else None),
                ignored_items=unknown_items(history, row),
                cluster=cluster,
            )
            for history, row, known, items, scores, cluster in zip(
                histories,
                codes,
                rows,
                best.items.numpy(),
                best.scores.tolist(),
                clusters,
                strict=True,
            )
        ]

    def _named(
        self, items: Int64[np.ndarray, " k"], scores: Sequence[float], history: Codes | None
    ) -> tuple[Recommendation, ...]:
        titles, names = self.checkpoint.titles, self.items.decode(items)
        whys = [None] * len(items) if history is None else self._reasons(items, history)
        return tuple(
            Recommendation(raw, score, None if titles is None else titles[item], why)
            for item, raw, score, why in zip(items, names, scores, whys, strict=False)
        )

    def _reasons(self, items: Int64[np.ndarray, " k"], history: Codes) -> list[Why]:
        explanations = explanation.explain(self.ranker, history.tolist(), items.tolist())
        read = self.items.decode(history[-self.checkpoint.model.config.max_steps :])
        return [
            Why(
                why.parts,
                tuple(
                    Because(*fields)
                    for fields in zip(
                        read, why.gains, why.attention or [None] * len(read), strict=True
                    )
                ),
            )
            for why in explanations
        ]

    def _clusters(self, rows: Sequence[Codes]) -> list[int | None]:
        model = self.checkpoint.model
        if not model.config.clustering:
            return [None] * len(rows)
        clusters: list[int | None] = model.assign(self._newest(rows)).argmax(dim=1).tolist()
        return clusters

    def _newest(self, rows: Sequence[Codes]) -> Histories:
        """As much of each history as the model reads, so that one long one doesn't widen all."""
        return Histories.from_lists(row[-self.checkpoint.model.config.max_steps :] for row in rows)

    def _known(self, ids: list[RawId]) -> Int32[np.ndarray, " known"]:
        codes = self.items.encode(ids)
        known: Int32[np.ndarray, " known"] = codes[codes != UNKNOWN]
        return known


@lru_cache(maxsize=1)
def _loaded(directory: str, device: str, compiled: bool, content: str) -> Recommender:
    recommender = Recommender.load(directory, device, compiled=compiled)
    if recommender.checkpoint.content != content:
        raise CheckpointError(
            f"{directory}: holds another model than the one that was sent here; load it anew"
        )
    return recommender


def unknown_items(
    history: Sequence[RawId], codes: Int32[np.ndarray, " steps"]
) -> tuple[RawId, ...]:
    """Items of a history that have no index, once each."""
    pairs = zip(history, codes, strict=True)
    return tuple(dict.fromkeys(raw for raw, code in pairs if code == UNKNOWN))
