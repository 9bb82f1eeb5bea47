"""The whole model: batches, lengths, ablations, the meaning of ids."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from scipy import sparse
from torch import Tensor

from clusterseq.config import ModelConfig
from clusterseq.data.evidence import Evidence
from clusterseq.data.histories import Histories
from clusterseq.errors import CheckpointError
from clusterseq.judging.scorer import Scorer
from clusterseq.model import catalogue as catalogue_module
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.head import Theta
from clusterseq.model.ranker import Ranker
from clusterseq.model.restore import GRAPH, MEMORY, restored
from tests.reference import logits
from tests.tiny import ABLATIONS, HISTORIES, KNOWN, N_ITEMS, WORLD, tiny, trained

LACKS = {
    "whole": (),
    "attention": ("transition.key",),
    "clustering": ("clusters.", "profiles", "conditioner.", "lifts.", "theta.lifts"),
    "lifts": ("lifts.", "theta.lifts"),
    "conditioning": ("conditioner.",),
    "freshness": ("items.freshness",),
    "memory": ("memory.", "acuity", "theta.trust"),
    "smoothing": ("items.graph_",),
    "meta": ("rates", "anchors"),
    "inner steps": ("rates", "anchors"),
}
"""Beginnings of the names of what each ablation takes away."""


@cache
def model_without(part: str) -> ClusterSeq:
    # Meta-training alone, so that early stopping can't leave gates and rates as they began.
    rates = {"meta_learning_rate": 0.02, "backbone_rate": 0.01}
    model = trained(tiny(ABLATIONS[part], pretrain_epochs=0, meta_epochs=2, **rates))
    if model.lifts is not None:  # of which calibration alone decides
        model.lifts.measure(model.cluster_popularity, model.cluster_sizes, len(KNOWN.items))
        model.lifts.affinity.data.fill_(0.5)
    return model


@pytest.fixture(params=ABLATIONS)
def part(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def score(model: ClusterSeq, *rows: list[int]) -> Tensor:
    return Ranker(model).score(Histories.from_lists(rows))


def plain_scores(model: ClusterSeq, histories: Histories) -> Tensor:
    """Every step spelt out, with all of everybody's evidence held at once."""
    catalogue = model.catalogue()
    queries = model.encode(histories, catalogue.table)
    evidence = None if model.memory is None else Evidence(model.memory, histories)
    heard = model.support_evidence(histories, catalogue, evidence)
    theta = model.adapted(histories, queries, catalogue, heard)
    last = queries[torch.arange(len(histories)), histories.lengths - 1][:, None]
    said = torch.zeros(model.kinds, len(histories), N_ITEMS)
    if evidence is not None and model.acuity is not None:
        said = torch.log1p(model.acuity.exp()[:, None, None] * evidence.dense())
    return torch.cat(
        [
            logits(theta[person], last[person], catalogue.items, said[:, person : person + 1])
            for person in range(len(histories))
        ]
    )


def test_it_trains_and_scores_without_each_part(part: str) -> None:
    model = model_without(part)
    scores = score(model, *HISTORIES)
    assert isinstance(Ranker(model), Scorer)
    assert scores.shape == (len(HISTORIES), N_ITEMS)
    assert torch.isfinite(scores).all()
    assert (scores.amax(dim=1) > scores.amin(dim=1)).all()


def test_the_tests_see_a_model_that_has_learnt_to_adapt() -> None:
    tensors = model_without("whole").tensors()
    for name in ("conditioner.gates", "conditioner.shifts", "rates"):
        assert tensors[name].std() > 1e-3, name


def test_a_batch_scores_as_one_by_one(part: str) -> None:
    model = model_without(part)
    together = score(model, *HISTORIES)
    for row, history in enumerate(HISTORIES):
        alone = score(model, history)[0]
        torch.testing.assert_close(together[row], alone, rtol=1e-4, atol=1e-4)


def test_padding_means_nothing(part: str) -> None:
    model, histories = model_without(part), Histories.from_lists(HISTORIES)
    junk = torch.where(histories.mask, histories.items, 7)
    wider = Histories(
        torch.cat([junk, torch.full((len(HISTORIES), 3), 11)], dim=1), histories.lengths
    )
    expected = Ranker(model).score(histories)
    torch.testing.assert_close(Ranker(model).score(wider), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(model.assign(wider), model.assign(histories))


def test_what_is_ready_scores_as_the_model_does(part: str) -> None:
    model = model_without(part)
    histories = Histories.from_lists([history for history in HISTORIES if history])
    histories = histories.last(model.config.max_steps)
    with torch.no_grad():
        expected = plain_scores(model, histories)
    torch.testing.assert_close(Ranker(model).score(histories), expected, rtol=1e-5, atol=1e-5)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = score(model_without("whole"), *HISTORIES)
    monkeypatch.setattr(catalogue_module, "SCORES_AT_ONCE", 1)
    monkeypatch.setattr(catalogue_module, "PEOPLE_AT_LEAST", 2)
    torch.testing.assert_close(
        score(model_without("whole"), *HISTORIES), whole, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("length", range(31))
def test_any_length_of_history_is_scored(length: int) -> None:
    model = model_without("whole")
    history = [(5 * place) % N_ITEMS for place in range(length)]
    scores = score(model, history)
    assert torch.isfinite(scores).all()
    newest = score(model, history[-model.config.max_steps :])
    torch.testing.assert_close(scores, newest)
    shares = model.assign(Histories.from_lists([history]))
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(1))


def test_nobody_at_all_is_scored() -> None:
    model = model_without("whole")
    assert score(model).shape == (0, N_ITEMS)
    assert model.assign(Histories.from_lists([])).shape == (0, 3)


def test_without_history_the_prior_of_the_clusters_ranks() -> None:
    model = model_without("whole")
    expected = torch.log(model.cluster_sizes @ model.cluster_popularity)
    torch.testing.assert_close(score(model, [])[0], expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(model.assign(Histories.from_lists([[]]))[0], model.cluster_sizes)
    torch.testing.assert_close(model.cluster_sizes.sum(), torch.tensor(1.0))


def held(model: ClusterSeq) -> set[str]:
    """Names of all tensors."""
    return set(model.tensors())


@pytest.mark.parametrize("part", LACKS)
def test_what_is_ablated_is_gone(part: str) -> None:
    gone = {name for name in held(model_without("whole")) if name.startswith(LACKS[part])}
    assert all(any(name.startswith(start) for name in gone) for start in LACKS[part])
    left = held(model_without("whole")) - gone
    assert held(model_without(part)) == left


def test_theta_stands_in_one_tensor_in_the_order_of_its_parts() -> None:
    model = model_without("whole")
    parts, values = Theta(model.start, model.catalogue().items), dict(model.theta.items())
    values["popularity"] = torch.cat([values["popularity"], values.pop("lifts")])  # all of traits
    for name, value in values.items():
        assert torch.equal(getattr(parts, name)[0], value), name


def test_without_clustering_everybody_is_in_one_cluster() -> None:
    histories = Histories.from_lists(HISTORIES)
    assert torch.equal(model_without("clustering").assign(histories), torch.ones(6, 1))


def test_first_and_second_order_score_alike_but_learn_apart() -> None:
    first, second = model_without("first order"), model_without("whole")
    assert held(first) == held(second)
    assert not torch.equal(first.tensors()["rates"], second.tensors()["rates"])
    same = restored(first.config, second.tensors())
    torch.testing.assert_close(score(same, *HISTORIES), score(second, *HISTORIES))


def test_adaptation_changes_the_scores_of_those_with_two_items_or_more() -> None:
    model = model_without("whole")
    tensors = model.tensors()
    still = restored(
        model.config,
        {n: torch.zeros_like(t) if n == "rates" else t for n, t in tensors.items()},
    )
    differs = (score(model, *HISTORIES) != score(still, *HISTORIES)).any(dim=1)
    assert differs.tolist() == [len(history) > 1 for history in HISTORIES]


@pytest.mark.parametrize("part", ["whole", "everything", "cosine"])
def test_tensors_come_back(part: str) -> None:
    model = model_without(part)
    again = restored(model.config, model.tensors())
    assert torch.equal(score(again, *HISTORIES), score(model, *HISTORIES))
    histories = Histories.from_lists(HISTORIES)
    assert torch.equal(again.assign(histories), model.assign(histories))
    assert all(tensor.is_contiguous() for tensor in model.tensors().values())


def permuted(model: ClusterSeq, places: Tensor) -> ClusterSeq:
    """The same model with item i called ``places[i]`` in all that is indexed by items."""
    tensors, back = model.tensors(), places.argsort()
    for name in ("items.embedding", "items.bias", "items.freshness", "profiles", "lifts.table"):
        tensors[name] = tensors[name][back].contiguous()
    tensors["cluster_popularity"] = tensors["cluster_popularity"][:, back].contiguous()
    tensors["anchors"] = places[tensors["anchors"]].sort().values
    order = back.numpy()
    for names in (GRAPH, [f"memory.{part}" for part in MEMORY]):
        starts, items, weights = (tensors[name] for name in names)
        matrix = sparse.csr_array((weights, items, starts), shape=(len(starts) - 1, N_ITEMS))
        squares = [matrix[top : top + N_ITEMS] for top in range(0, matrix.shape[0], N_ITEMS)]
        moved = sparse.vstack([square[order][:, order] for square in squares], format="csr")
        moved.sort_indices()
        found = (moved.indptr, moved.indices, moved.data)
        for name, array in zip(names, found, strict=True):
            tensors[name] = torch.from_numpy(array).to(tensors[name].dtype)
    return restored(model.config, tensors)


def test_permuting_item_ids_permutes_the_scores() -> None:
    model = model_without("whole")
    places = torch.randperm(N_ITEMS, generator=torch.Generator().manual_seed(3))
    renamed = [[int(places[item]) for item in history] for history in HISTORIES]
    other = permuted(model, places)
    found = score(other, *renamed)[:, places]
    torch.testing.assert_close(found, score(model, *HISTORIES), rtol=1e-4, atol=1e-4)
    shares = other.assign(Histories.from_lists(renamed))
    torch.testing.assert_close(shares, model.assign(Histories.from_lists(HISTORIES)))


def test_a_query_is_of_its_prefix() -> None:
    model = model_without("whole")
    table, histories = model.items.vectors(), Histories.from_lists([[3, 9, 1, 4]])
    queries = model.encode(histories, table)
    for steps in (1, 2, 3):
        prefix = Histories(histories.items[:, :steps], torch.tensor([steps]))
        torch.testing.assert_close(model.encode(prefix, table), queries[:, :steps])


def test_a_catalogue_smaller_than_the_anchors_is_taken_whole() -> None:
    model = ClusterSeq(ModelConfig(n_items=5, dim=4))
    assert model.anchors.tolist() == [0, 1, 2, 3, 4]
    assert torch.isfinite(score(model, [0, 1, 2], [4])).all()


def test_one_item_alone_is_a_catalogue() -> None:
    assert torch.isfinite(score(ClusterSeq(ModelConfig(n_items=1, dim=4)), [0, 0, 0], [])).all()


def test_the_seed_decides_the_start() -> None:
    config = ModelConfig(n_items=WORLD.n_items, dim=4)
    first, same, other = (ClusterSeq(config, seed).items.embedding for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("items.bias", lambda t: t[:-1]),
        ("items.bias", lambda t: t.double()),
        ("items.bias", lambda t: torch.full_like(t, torch.nan)),
        ("theta.gain", None),
        ("memory.weights", None),
        ("memory.items", lambda t: t + N_ITEMS),
        ("memory.starts", lambda t: t.flip(0)),
        ("memory.items", lambda t: t.flip(0)),
        ("items.graph_starts", lambda t: t[:-1]),
        ("items.graph_items", lambda t: -t - 1),
        ("items.graph_weights", lambda t: t * torch.inf),
    ],
)
def test_damaged_tensors_are_refused(name: str, damage: object) -> None:
    model = model_without("whole")
    tensors = model.tensors()
    if damage is None:
        del tensors[name]
    else:
        assert callable(damage)
        tensors[name] = damage(tensors[name])
    with pytest.raises(CheckpointError):
        restored(model.config, tensors)


def test_unknown_tensors_are_refused() -> None:
    model = model_without("whole")
    with pytest.raises(CheckpointError, match="unknown tensor surplus"):
        restored(model.config, model.tensors() | {"surplus": torch.ones(1)})


def test_the_memory_of_another_configuration_is_refused() -> None:
    whole, without = model_without("whole"), model_without("memory")
    memory = {n: t for n, t in whole.tensors().items() if n.startswith("memory.")}
    with pytest.raises(CheckpointError, match="memory"):
        restored(without.config, without.tensors() | memory)
