"""Recommendations for people never seen: their items go in, ranked items come out, in raw ids.

Knows nothing about: users, training, files of histories.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, TypeAlias, overload

import numpy as np
import torch
from jaxtyping import Bool, Int, Int32, Int64
from torch import Tensor

from clusterseq.data.histories import Histories
from clusterseq.errors import CheckpointError, ConfigError, DataError
from clusterseq.learning.checkpoint import Checkpoint, load_checkpoint
from clusterseq.machine.accelerator import CPU, device_named
from clusterseq.machine.directory import present
from clusterseq.model.index import Index
from clusterseq.model.ranker import Ranker
from clusterseq.model.retrieval import NOTHING, TopK
from clusterseq.reading.vocab import UNKNOWN, RawId, Vocabulary
from clusterseq.using import explanation
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
        index = Index.load(present(directory), checkpoint.content) if torch_device == CPU else None
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
            history: raw item ids, oldest first, or a list of such lists.
            exclude: items never to recommend.
            only: the items to choose from; None for all.
            filter_seen: leave out what is in the person's own history.
            explain: say why of every item; each person is adapted to once more for every item of
                their history.

        Raises:
            DataError: ``history``, ``exclude`` or ``only`` isn't a list of ids.
            ConfigError: ``k`` is no whole number, or below 1.
        """
        if not isinstance(k, int | np.integer):
            raise ConfigError(f"k = {k!r} can't be used; give a whole number, 1 or more")
        batch, single = _batch(history)
        allowed = self.allowed(exclude, only)
        results = self._recommended(batch, k, allowed, filter_seen=filter_seen, explained=explain)
        return results[0] if single else results

    def allowed(
        self, exclude: Iterable[RawId] = (), only: Iterable[RawId] | None = None
    ) -> Bool[Tensor, " items"]:
        """Which items two lists of raw ids leave; unknown ids in them change nothing."""
        mask = torch.full((len(self.items),), only is None)
        if only is not None:
            mask[self._known(_ids(only, "only"))] = True
        mask[self._known(_ids(exclude, "exclude"))] = False
        return mask

    def best(
        self,
        rows: Sequence[Codes],
        k: int,
        *,
        allowed: Bool[Tensor, " items"],
        filter_seen: bool = True,
    ) -> TopK:
        """The best ``k`` items for each of some histories of item indices, all at once."""
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


def _batch(history: object) -> tuple[list[list[Any]], bool]:
    """The histories as lists, and whether it was a single one."""
    rows = _ids(history, "history")
    nested = [isinstance(row, Iterable) and not isinstance(row, str | bytes) for row in rows]
    if not any(nested):
        return [rows], True
    if not all(nested):
        raise DataError("history mixes ids and lists; give one list of ids or a list of lists")
    return [_ids(row, "history") for row in rows], False


def _ids(values: Any, name: str) -> list[Any]:
    """A list of whatever was given, if it has an order and isn't a bare id."""
    if isinstance(values, str | bytes | int):
        raise DataError(f"{name} is the single value {values!r}; give a list: [{values!r}]")
    unordered = name == "history" and isinstance(values, set | frozenset | dict)
    if unordered or not isinstance(values, Iterable):
        kind = type(values).__name__
        raise DataError(f"{name} is of type {kind}; give a list of item ids, oldest first")
    return [value.item() if isinstance(value, np.generic) else value for value in values]


def unknown_items(
    history: Sequence[RawId], codes: Int32[np.ndarray, " steps"]
) -> tuple[RawId, ...]:
    """Items of a history that have no index, once each."""
    pairs = zip(history, codes, strict=True)
    return tuple(dict.fromkeys(raw for raw, code in pairs if code == UNKNOWN))
