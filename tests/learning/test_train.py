"""Training end to end on a tiny world: seeds, interruption, resumption, failure."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy import sparse
from torch import Tensor

from clusterseq.config import Config, Runtime
from clusterseq.data.graph import SmoothingGraph, transitions
from clusterseq.data.histories import Histories
from clusterseq.data.sequences import Sequences
from clusterseq.data.windows import Windows
from clusterseq.errors import CheckpointError, DataError, TrainingError
from clusterseq.judging.judge import judged_tasks, log_likelihood
from clusterseq.learning import trainer
from clusterseq.learning.metatrain import MetaLoss
from clusterseq.learning.pretrain import PrefixLoss
from clusterseq.learning.stage import NOISE
from clusterseq.learning.train import fit
from clusterseq.learning.trainer import GAIN, Trainer
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.head import PARTS
from clusterseq.model.ranker import Ranker
from tests.tiny import CONFIG, HISTORIES, KNOWN, N_ITEMS, VALIDATION, people, tiny, trained


class Interrupter:
    """A watcher that keeps the log, and presses Ctrl-C after the given step of a stage."""

    def __init__(self, stage: str = "", step: int = 0) -> None:
        self.stage, self.at = stage, step
        self.records: list[Mapping[str, Any]] = []
        self.stages: list[str] = []

    def step(self, stage: str, done: int, total: int) -> None:
        assert done <= total
        if stage not in self.stages:
            self.stages.append(stage)
        if (stage, done) == (self.stage, self.at):
            os.kill(os.getpid(), signal.SIGINT)

    def epoch(self, record: Mapping[str, Any]) -> None:
        self.records.append(record)


def equal(one: ClusterSeq, two: ClusterSeq) -> bool:
    first, second = one.tensors(), two.tensors()
    return first.keys() == second.keys() and all(
        torch.equal(tensor, second[name]) for name, tensor in first.items()
    )


@pytest.fixture(scope="module")
def uninterrupted() -> ClusterSeq:
    model = trained()
    assert model.tensors()["rates"].std() > 0, "the best epoch is one of meta-training"
    return model


def test_the_same_seed_gives_the_same_weights(uninterrupted: ClusterSeq) -> None:
    assert equal(trained(), uninterrupted)
    assert not equal(trained(seed=1), uninterrupted)


@pytest.fixture
def two_threads() -> Iterator[int]:
    before = torch.get_num_threads()
    yield 2
    torch.set_num_threads(before)


def test_threads_share_the_work_in_a_fixed_order(
    two_threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Wide, and with everybody in one batch: threads meet at an item's row only if there is much.
    monkeypatch.setattr(trainer, "LEAST_BATCHES", 1)
    config = tiny({"dim": 128, "max_steps": 20}, sequences_per_batch=512, tasks_per_batch=512)
    known = people(2_000, seed=3)
    runtime = Runtime(threads=two_threads)
    runs = [fit(known, VALIDATION, config, n_items=N_ITEMS, runtime=runtime) for _ in range(3)]
    assert torch.get_num_threads() == two_threads
    assert all(equal(runs[0], run) for run in runs[1:])


def test_nobody_elses_randomness_matters(uninterrupted: ClusterSeq) -> None:
    torch.manual_seed(123)
    np.random.seed(123)
    state = torch.random.get_rng_state()
    assert equal(trained(), uninterrupted)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_all_stages_are_told() -> None:
    watcher = Interrupter()
    trained(watcher=watcher)
    assert watcher.stages == ["prepare", "pretrain", "meta"]
    told = [record["stage"] for record in watcher.records]
    assert told == sorted(told, key=["pretrain", "meta"].index)
    assert set(told) == {"pretrain", "meta"}
    for record in watcher.records:
        assert np.isfinite(record["loss"])
        assert -np.log(N_ITEMS) * 2 < record["validation_log_likelihood"] < 0


@pytest.mark.parametrize(
    ("windows", "given", "size"),
    [(6_500, 256, 256), (2_500, 256, 100), (100, 256, 32), (2_500, 16, 16)],
)
def test_small_data_are_cut_into_batches_enough(windows: int, given: int, size: int) -> None:
    known = Sequences.from_rows([[0, 1]] * windows)
    config = tiny(sequences_per_batch=given)
    stage = Trainer(known, VALIDATION, config, N_ITEMS, seed=0).pretraining()
    batches = stage.batches(np.random.default_rng(0))
    assert max(len(batch) for batch in batches) == size
    assert sum(len(batch) for batch in batches) == windows


def test_without_pretraining_nothing_is_calibrated_and_mrr_judges() -> None:
    watcher = Interrupter()
    trained(tiny(pretrain_epochs=0), watcher=watcher)
    assert all(0 < record["validation_mrr"] <= 1 for record in watcher.records)


# An epoch of pre-training has 4 steps and one of meta-training 6: amid the first epoch, amid a
# later one, and at the end of one.
@pytest.mark.parametrize(
    ("stage", "step"),
    [
        *(("pretrain", step) for step in (1, 6, 8, 12)),
        *(("meta", step) for step in (1, 6, 9, 17)),
    ],
)
def test_resumed_equals_uninterrupted_bit_for_bit(
    uninterrupted: ClusterSeq, tmp_path: Path, stage: str, step: int
) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained(watcher=Interrupter(stage, step), resume_at=tmp_path)
    watcher = Interrupter()
    resumed = trained(watcher=watcher, resume_at=tmp_path, resume=True)
    assert equal(resumed, uninterrupted)
    assert ("pretrain" in watcher.stages) == (stage == "pretrain" and step < 12)


def test_a_training_stopped_again_and_again_ends_all_the_same(
    uninterrupted: ClusterSeq, tmp_path: Path
) -> None:
    for place, stop in enumerate([("pretrain", 2), ("pretrain", 7), ("meta", 3), ("meta", 11)]):
        with pytest.raises(KeyboardInterrupt):
            trained(watcher=Interrupter(*stop), resume_at=tmp_path, resume=place > 0)
    assert equal(trained(resume_at=tmp_path, resume=True), uninterrupted)


def test_keeping_the_state_changes_nothing(uninterrupted: ClusterSeq, tmp_path: Path) -> None:
    assert equal(trained(resume_at=tmp_path), uninterrupted)
    assert equal(trained(resume_at=tmp_path, resume=True), uninterrupted)


@pytest.mark.parametrize(
    ("config", "seed"),
    [(tiny(clip=1.0), 0), (tiny({"dim": 4}), 0), (tiny({"smoothing": 0.0}), 0), (CONFIG, 1)],
)
def test_the_state_of_other_options_is_refused(tmp_path: Path, config: Config, seed: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained(watcher=Interrupter("pretrain", 1), resume_at=tmp_path)
    with pytest.raises(CheckpointError, match="other events, options or another seed"):
        trained(config, seed=seed, resume_at=tmp_path, resume=True)


@pytest.mark.parametrize("changed", ["known", "validation"])
def test_the_state_of_other_people_is_refused(tmp_path: Path, changed: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained(watcher=Interrupter("pretrain", 1), resume_at=tmp_path)
    known = people(60, seed=5) if changed == "known" else KNOWN
    validation = people(15, seed=5) if changed == "validation" else VALIDATION
    with pytest.raises(CheckpointError, match="other events, options or another seed"):
        fit(known, validation, CONFIG, n_items=N_ITEMS, resume_at=tmp_path, resume=True)


def test_nothing_to_resume_is_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no state to resume"):
        trained(resume_at=tmp_path, resume=True)


@pytest.mark.parametrize(
    ("stage", "loss", "step"), [("pretrain", PrefixLoss, 7), ("meta", MetaLoss, 8)]
)
def test_a_loss_that_is_not_finite_keeps_the_last_good_epoch(
    uninterrupted: ClusterSeq,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
    loss: type[PrefixLoss | MetaLoss],
    step: int,
) -> None:
    original, taken = loss.__call__, 0

    def failing(self: Any, batch: Any, generator: torch.Generator) -> Tensor:
        nonlocal taken
        taken += 1
        found: Tensor = original(self, batch, generator)
        return found * torch.inf if taken == step else found

    with monkeypatch.context() as patch:
        patch.setattr(loss, "__call__", failing)
        steps = 4 if stage == "pretrain" else 6
        told = f"{stage}, epoch 2, step {step - steps}: the loss is inf"
        with pytest.raises(TrainingError, match=told):
            trained(resume_at=tmp_path)
    state = load_file(tmp_path / "state" / "state.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in state.values())
    # With the fault gone, training goes on from the end of epoch 1.
    watcher = Interrupter()
    assert equal(trained(watcher=watcher, resume_at=tmp_path, resume=True), uninterrupted)
    assert (watcher.records[0]["stage"], watcher.records[0]["epoch"]) == (stage, 2)


def test_early_stopping_leaves_the_best_model_by_validation() -> None:
    watcher = Interrupter()
    config = tiny(pretrain_epochs=0, meta_epochs=8, patience=2, meta_learning_rate=0.1)
    trained(config, watcher=watcher)
    scores = np.array([record["validation_mrr"] for record in watcher.records])
    as_good = scores > np.maximum.accumulate(scores) * (1 - NOISE)
    last = int(np.flatnonzero(as_good)[-1])
    assert len(scores) in (last + 3, 8), "two epochs without one as good end the stage"


def test_validation_people_leave_no_trace_but_in_what_is_selected() -> None:
    # Without calibration and with one epoch only, they could decide nothing but early stopping.
    config = tiny(pretrain_epochs=0, meta_epochs=0)
    other = fit(KNOWN, people(9, seed=8), config, n_items=N_ITEMS)
    assert equal(trained(config), other)


def test_without_new_people_a_tenth_of_the_known_judges() -> None:
    watcher = Interrupter()
    model = fit(KNOWN, Sequences.from_rows([]), CONFIG, n_items=N_ITEMS, watcher=watcher)
    assert all("validation_log_likelihood" in record for record in watcher.records)
    whole = trained(tiny(pretrain_epochs=0, meta_epochs=0)).tensors()
    for name, tensor in model.tensors().items():
        if name.startswith(("memory.", "items.graph_")):
            assert torch.equal(tensor, whole[name]), "in the end everybody is remembered"


@pytest.mark.parametrize("rows", [[], [[]], [[0], [1], [2]]])
def test_nobody_with_two_events_is_no_training(rows: list[list[int]]) -> None:
    with pytest.raises(DataError, match="two"):
        fit(Sequences.from_rows(rows), Sequences.from_rows([]), CONFIG, n_items=3)


@pytest.mark.parametrize("rows", [[[0, 1]], [[0, 1], [1, 2, 0]], [[0, 0, 0], [1], []]])
def test_hardly_anybody_is_enough(rows: list[list[int]]) -> None:
    model = fit(Sequences.from_rows(rows), Sequences.from_rows([]), CONFIG, n_items=3)
    assert all(torch.isfinite(t).all() for t in model.tensors().values())


def test_members_who_learn_from_each_other_agree_more() -> None:
    strangers = Histories.from_lists([row[:3] for row in people(200, seed=9)])

    def disagreement(share: float) -> float:
        """How far the members' expectations lie from what they expect together, in nats."""
        model = trained(tiny(mutual_share=share, pretrain_epochs=25, learning_rate=0.01))
        table = model.items.vectors()
        queries = strangers.newest(model.encode(strangers, table))
        matches = [
            torch.cosine_similarity(query[:, None], vectors, dim=-1)
            for query, vectors in zip(queries.chunk(2, -1), table.chunk(2, -1), strict=True)
        ]
        scores = model.config.scale * torch.stack(matches) + model.items.bias
        together = scores.mean(dim=0).log_softmax(dim=1)
        gaps = torch.nn.functional.kl_div(
            scores.log_softmax(dim=2), together.expand_as(scores), reduction="none", log_target=True
        )
        return gaps.sum(dim=2).mean().item()

    assert disagreement(0.8) < disagreement(0.0) / 2


def test_a_member_alone_learns_from_events_whatever_the_share() -> None:
    alone = {"members": 1}
    assert equal(trained(tiny(alone, mutual_share=0.6)), trained(tiny(alone, mutual_share=0.0)))


def test_a_batch_can_do_without_its_own_transitions() -> None:
    leaving, other = (
        Trainer(KNOWN, VALIDATION, tiny({"dropout": 0.0}, leave_out=leave_out), N_ITEMS, seed=0)
        for leave_out in (True, False)
    )
    windows = Windows.of(KNOWN, leaving.config.window)
    batch = windows.batches(16, np.random.default_rng(0))[0]
    items, users = batch.items.numpy(), [int(size) for size in batch.lengths]
    own = transitions(
        Sequences.from_rows([row[:size].tolist() for row, size in zip(items, users, strict=True)]),
        N_ITEMS,
    )
    graph = SmoothingGraph.of(transitions(KNOWN, N_ITEMS))
    rest = graph.edges - sparse.csr_array(
        graph.roots[:, None] * (own + own.T).toarray() * graph.roots
    )
    losses = [
        trainer.pretraining().loss(batch, torch.Generator().manual_seed(0))
        for trainer in (leaving, other)
    ]
    assert losses[0] > losses[1], "what comes next is no neighbour because of this very batch"
    other.model.items.set_graph(sparse.csr_array(rest))
    without = other.pretraining().loss(batch, torch.Generator().manual_seed(0))
    torch.testing.assert_close(losses[0], without)


def test_newcomers_gain_where_a_batch_does_without_its_own_transitions() -> None:
    """Of few people with many items, most of an item's edges are of the person at hand."""
    draws = np.random.default_rng(0)

    def walks(people: int) -> Sequences:
        """Random walks around a circle of 400 items."""
        starts, steps = draws.integers(0, 400, (people, 1)), draws.integers(1, 8, (people, 6))
        return Sequences.from_rows(((starts + steps.cumsum(axis=1)) % 400).tolist())

    known, validation = walks(100), walks(300)

    def likelihood(leave_out: bool) -> float:
        watcher = Interrupter()
        model = {"smoothing": 0.9, "memory": False, "dim": 16}
        train = {"pretrain_epochs": 12, "learning_rate": 0.01, "meta_epochs": 0}
        config = tiny(model, leave_out=leave_out, **train)
        fit(known, validation, config, n_items=400, watcher=watcher)
        found: float = watcher.records[-1]["validation_log_likelihood"]
        return found

    assert likelihood(True) > likelihood(False) + 0.05


def test_clusters_speak_for_items_where_newcomers_gain_by_it() -> None:
    """Kinds of people with items of their own, and so little training that it tells few apart."""
    for lifts in (True, False):
        watcher = Interrupter()
        config = tiny({"lifts": lifts, "memory": False}, pretrain_epochs=1, meta_epochs=0)
        model = trained(config, watcher=watcher)
        strangers = judged_tasks(people(300, seed=9), np.random.default_rng(0))
        found = log_likelihood(Ranker(model).score, strangers)
        if model.lifts is not None:
            assert model.lifts.affinity.item() > 0.1
            with_lifts = found
    assert with_lifts > found + GAIN


def test_every_epoch_of_meta_training_begins_with_what_clusters_say_then() -> None:
    config = tiny({"dropout": 0.0}, backbone_rate=0.0)
    training = Trainer(KNOWN, VALIDATION, config, N_ITEMS, seed=0)
    model, clusters = training.model, training.model.clusters
    training.start_clusters()
    assert clusters is not None
    assert model.lifts is not None
    model.lifts.measure(model.cluster_popularity, model.cluster_sizes, len(KNOWN.items))
    model.lifts.affinity.data.fill_(1.0)
    stage = training.meta_training()
    batch = stage.batches(np.random.default_rng(0))[0]
    said = []
    for seed in range(2):
        clusters.start(torch.randn(30, model.config.width), torch.Generator().manual_seed(seed))
        stage.before_epoch()
        said.append(model.lifts.table.clone())
        loss = MetaLoss(model, config.train)(batch, torch.Generator())
        torch.testing.assert_close(stage.loss(batch, torch.Generator()), loss)
    assert not torch.equal(*said)


def test_where_newcomers_gain_nothing_all_is_as_without_lifts() -> None:
    draws = np.random.default_rng(0)
    known, validation = (
        Sequences.from_rows(draws.integers(0, N_ITEMS, (people, 6)).tolist()) for people in (80, 40)
    )
    lifted, plain = (
        fit(known, validation, tiny({"lifts": lifts}, meta_epochs=0), n_items=N_ITEMS)
        for lifts in (True, False)
    )
    assert lifted.lifts is not None
    assert lifted.lifts.affinity.item() == 0
    assert not lifted.lifts.measured
    histories = Histories.from_lists(HISTORIES)
    torch.testing.assert_close(Ranker(lifted).score(histories), Ranker(plain).score(histories))


@pytest.mark.parametrize("rivals", [5, 15])
def test_a_softmax_over_some_items_trains(rivals: int) -> None:
    watcher = Interrupter()
    trained(tiny(rivals=rivals, pretrain_epochs=6, learning_rate=0.01), watcher=watcher)
    losses = [r["loss"] for r in watcher.records if r["stage"] == "pretrain"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("rate", [0.0, 0.003])
def test_meta_training_learns_from_some_items(rate: float) -> None:
    watcher = Interrupter()
    trained(tiny(backbone_rate=rate, meta_epochs=6, rivals=12), watcher=watcher)
    losses = [r["loss"] for r in watcher.records if r["stage"] == "meta"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(("rate", "refused"), [(0.02, False), (1.0, True), (1e30, True)])
def test_newcomers_refuse_an_inner_loop_that_harms_them(rate: float, refused: bool) -> None:
    model = trained(tiny({"inner_rate": rate, "lifts": False}, meta_epochs=0))
    assert model.rates is not None
    assert bool((model.rates == (0 if refused else rate)).all())


def test_at_first_the_inner_loop_trusts_the_clusters_of_a_person_alike() -> None:
    model = ClusterSeq(tiny({"n_items": N_ITEMS}).model)
    assert model.rates is not None
    sizes = [len(model.theta[name]) for name in PARTS]
    steps = dict(zip(PARTS, model.rates.split_with_sizes(sizes, dim=1), strict=True))
    assert not steps.pop("lifts").any()
    assert all(bool((rates == model.config.inner_rate).all()) for rates in steps.values())


def test_threads_are_set() -> None:
    former = torch.get_num_threads()
    try:
        runtime = Runtime(threads=1)
        config = tiny(pretrain_epochs=0, meta_epochs=0)
        fit(KNOWN, VALIDATION, config, n_items=N_ITEMS, runtime=runtime)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(former)


def test_items_beyond_the_catalogue_are_told() -> None:
    with pytest.raises(DataError, match=r"numbered from 0 to .* n_items = 3 allows 0 to 2"):
        fit(KNOWN, VALIDATION, CONFIG, n_items=3)
