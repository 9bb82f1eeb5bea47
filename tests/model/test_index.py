"""An index finds what all scores say, filters included, and belongs to one model."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from clusterseq.cli import main
from clusterseq.config import ModelConfig
from clusterseq.data.histories import Histories
from clusterseq.data.ledger import Ledger
from clusterseq.data.memory import Sums
from clusterseq.data.sequences import Sequences
from clusterseq.errors import CheckpointError, ConfigError, DataError
from clusterseq.learning.checkpoint import load_checkpoint
from clusterseq.learning.trainer import remember
from clusterseq.model import index as module
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.index import ABOUT, FILE, Index
from clusterseq.model.indexing import index_of
from clusterseq.model.ranker import REFUSED_AT_MOST, Ranker
from clusterseq.service.engine import Engine, Person
from clusterseq.using.recommender import Recommender

ITEMS = 4_000
NOBODY = np.empty(0, dtype=np.int64)


@pytest.fixture(scope="module")
def model() -> ClusterSeq:
    """Untrained, but with vectors in groups and a memory."""
    draws = np.random.default_rng(0)
    starts = draws.integers(0, ITEMS // 20, 3_000) * 20
    known = Sequences.from_rows([(start + draws.integers(0, 20, 6)).tolist() for start in starts])
    model = ClusterSeq(ModelConfig(n_items=ITEMS, dim=8, anchors=20, clusters=2))
    centres = draws.normal(size=(ITEMS // 20, model.config.width)).repeat(20, axis=0)
    vectors = centres + 0.4 * draws.normal(size=centres.shape)
    model.items.embedding.data.copy_(torch.from_numpy(vectors))
    model.items.bias.data.copy_(torch.from_numpy(draws.normal(size=ITEMS)))
    remember(model, Sums.of(known, ITEMS), Ledger.of(known, ITEMS))
    return model


@pytest.fixture(scope="module")
def index(model: ClusterSeq) -> Index:
    return index_of(model)


@pytest.fixture
def exact(index: Index) -> Iterator[Index]:
    """The same, made to look at every list."""
    former = index.lists.nprobe
    index.lists.nprobe = index.lists.nlist
    yield index
    index.lists.nprobe = former


def people() -> Histories:
    draws = np.random.default_rng(1)
    return Histories.from_lists(
        (20 * group + draws.integers(0, 20, 1 + group % 3)).tolist() for group in range(100, 106)
    )


def masks(kind: str) -> list[torch.Tensor | None]:
    generator = torch.Generator().manual_seed(0)
    shut = {"all": 0, "few shut": REFUSED_AT_MOST // 2, "most shut": ITEMS - 50, "none": ITEMS}
    found: list[torch.Tensor | None] = []
    for _ in range(len(people())):
        mask = torch.ones(ITEMS, dtype=torch.bool)
        mask[torch.randperm(ITEMS, generator=generator)[: shut[kind]]] = False
        found.append(None if kind == "all" else mask)
    return found


@pytest.fixture(params=[0.3, -0.3], ids=["trusted", "distrusted"])
def trust(model: ClusterSeq, request: pytest.FixtureRequest) -> Iterator[None]:
    """A memory that raises what it speaks of, or lowers it."""
    former = model.theta["trust"].data.clone()
    model.theta["trust"].data.fill_(request.param)
    yield
    model.theta["trust"].data.copy_(former)


@pytest.mark.usefixtures("trust")
@pytest.mark.parametrize("kind", ["all", "few shut", "most shut", "none"])
@pytest.mark.parametrize("k", [1, 10, 60])
def test_looking_at_all_lists_it_is_exact(
    model: ClusterSeq, exact: Index, kind: str, k: int
) -> None:
    histories, allowed = people(), masks(kind)
    refused = [row[:length].numpy() for row, length in _rows(histories)]
    plain, near = Ranker(model), Ranker(model, exact)
    expected = plain.best(plain.adapt(histories), k, allowed=allowed, refused=refused)
    found = near.best(near.adapt(histories), k, allowed=allowed, refused=refused)
    assert found.items.shape == expected.items.shape
    torch.testing.assert_close(found.scores, expected.scores, rtol=1e-4, atol=1e-5)
    assert (found.items == expected.items).double().mean() > 0.98  # near ties may change places
    for row, mask, gone in zip(found.items.tolist(), allowed, refused, strict=True):
        named = [item for item in row if item >= 0]
        assert len(set(named)) == len(named)
        assert not set(named) & set(gone.tolist())
        assert mask is None or bool(mask[named].all())


def _rows(histories: Histories) -> Iterator[tuple[torch.Tensor, int]]:
    yield from zip(histories.items, histories.lengths.tolist(), strict=True)


def test_some_of_the_lists_are_enough_for_nearly_all(model: ClusterSeq, index: Index) -> None:
    assert index.recall >= module.RECALL
    assert index.lists.nprobe < index.lists.nlist / 2
    plain, near = Ranker(model), Ranker(model, index)
    found = []
    for row in range(len(people())):
        one = people()[row : row + 1]
        best = [
            ranker.best(ranker.adapt(one), 10, allowed=[None], refused=[NOBODY]).items[0].tolist()
            for ranker in (plain, near)
        ]
        found.append(len(set(best[0]) & set(best[1])) / 10)
    assert np.mean(found) >= 0.95


def test_nothing_wanted_is_told_as_without_an_index(model: ClusterSeq, index: Index) -> None:
    for ranker in (Ranker(model), Ranker(model, index)):
        adapted = ranker.adapt(Histories.from_lists([[3, 4]]))
        with pytest.raises(ConfigError, match="k = 0 recommends nothing"):
            ranker.best(adapted, 0, allowed=[None], refused=[NOBODY])


def test_without_history_or_for_many_nothing_changes(model: ClusterSeq, index: Index) -> None:
    plain, near = Ranker(model), Ranker(model, index)
    for histories in (
        Histories.from_lists([[], [3]]),
        Histories.from_lists([[3]] * 9),
    ):
        some = {"allowed": [None] * len(histories), "refused": [NOBODY] * len(histories)}
        expected, found = (one.best(one.adapt(histories), 5, **some) for one in (plain, near))  # type: ignore[arg-type]
        assert torch.equal(found.items, expected.items)


def test_saved_beside_its_model_it_serves(exact: Index, tmp_path: Path) -> None:
    exact.save(tmp_path, "of this model")
    loaded = Index.load(tmp_path, "of this model")
    assert loaded is not None
    assert (loaded.lists.nprobe, loaded.recall) == (exact.lists.nprobe, exact.recall)
    with pytest.raises(CheckpointError, match="built for another model"):
        Index.load(tmp_path, "of another")
    (tmp_path / FILE).write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="damaged"):
        Index.load(tmp_path, "of this model")
    (tmp_path / ABOUT).write_text("{")
    with pytest.raises(CheckpointError, match="damaged"):
        Index.load(tmp_path, "of this model")


def test_the_command_refuses_what_needs_none_and_takes_it_away(
    model_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "model"
    shutil.copytree(model_directory, copy)
    with pytest.raises(DataError, match="60 items need no index"):
        index_of(load_checkpoint(copy).model)
    monkeypatch.setattr(module, "FEWEST", 10)
    assert main(["index", str(copy), "--json"]) == 0
    recommender, engine = Recommender.load(copy), Engine.load(copy, 1)
    assert recommender.index is not None
    assert engine.ranker.index is not None
    plain = Recommender.load(model_directory)
    assert recommender.recommend(["i01", "i02"]).ids == plain.recommend(["i01", "i02"]).ids
    assert (
        engine.rank([Person((1, 2))])[0].items[0]
        == plain.items.encode(plain.recommend(["i01", "i02"], filter_seen=False).ids)[0]
    )
    assert main(["index", str(copy), "--remove"]) == 0
    assert Recommender.load(copy).index is None


def test_an_index_is_replaced_and_never_written_over(index: Index, tmp_path: Path) -> None:
    index.save(tmp_path, "content")
    mapped = Index.load(tmp_path, "content")
    assert mapped is not None
    kept = (tmp_path / FILE).read_bytes()
    before = (tmp_path / FILE).stat().st_ino
    with pytest.raises(DataError, match="can't be written"):
        index.save(tmp_path / "nowhere", "content")
    index.save(tmp_path, "content")
    assert (tmp_path / FILE).read_bytes() == kept
    assert (tmp_path / FILE).stat().st_ino != before
    queries = np.ones((1, mapped.lists.d), np.float32)
    assert len(mapped.nearest(queries, 5)) == 1, "who has mapped the former one goes on"
