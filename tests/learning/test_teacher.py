"""A narrow model that learns from a wide one: what it is taught, how near it comes, stop and go."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from clusterseq.data.histories import Histories
from clusterseq.data.packing import Packing
from clusterseq.data.sequences import Sequences
from clusterseq.learning.teacher import Teacher, teachers_config
from clusterseq.learning.train import fit
from clusterseq.learning.trainer import PRETRAIN, learners_and_judges
from clusterseq.machine.progress import Silent
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.ranker import Ranker
from clusterseq.model.rivals import Rivals
from tests.learning.test_train import Interrupter, equal
from tests.tiny import HISTORIES, N_ITEMS, people, tiny, trained

PLAIN = {"clustering": False, "meta": "none", "memory": False, "freshness": False}
"""A model whose scores are those of its transition model alone."""
TAUGHT = tiny({"members": 1}, teacher_members=2, teacher_dim=6)


@pytest.fixture(scope="module")
def uninterrupted() -> ClusterSeq:
    return trained(TAUGHT)


def shares(model: ClusterSeq, histories: Histories) -> Tensor:
    """How likely each item is, by the scores."""
    return Ranker(model).score(histories).softmax(dim=1)


def test_those_who_judge_reach_the_student_by_no_teacher() -> None:
    """Two sets of people who differ in the sequences of the judges alone teach the same."""
    rows = [[1, 2, 3, 4, 5]] * 20
    judges = np.setdiff1d(np.arange(20), learners_and_judges(of(rows), of([]), drawn())[0])
    taught = []
    for items in ([6, 7, 6, 7], [8, 9, 8, 9]):
        changed = [items if person in judges else row for person, row in enumerate(rows)]
        watcher = Recorder()
        fit(of(changed), of([]), TAUGHT, n_items=N_ITEMS, watcher=watcher)
        taught.append(watcher.losses)
    assert len(judges) > 0
    assert taught[0] == taught[1]


class Recorder(Silent):
    """Keeps the losses of pre-training."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def epoch(self, record: Mapping[str, Any]) -> None:
        if record["stage"] == PRETRAIN:
            self.losses.append(record["loss"])


def of(rows: list[list[int]]) -> Sequences:
    return Sequences.from_rows(rows)


def drawn() -> np.random.Generator:
    return np.random.default_rng([0, *b"users"])


def test_a_lesson_is_the_mean_of_the_members_scores() -> None:
    model = trained(tiny(PLAIN, meta_epochs=0))
    histories = Histories.from_lists([row for row in HISTORIES if row]).last(6)
    packing, table = Packing.of(histories), model.items.vectors()
    everything = Rivals.draw(torch.tensor([0]), N_ITEMS, 0, torch.Generator())
    lesson = Teacher(model).lesson(packing.pack(histories.items), packing, everything)
    said = packing.unpack(lesson.queries @ lesson.vectors.T + lesson.bias)
    queries = model.encode(histories, table)
    for person, step in ((0, 0), (0, 2), (3, 1)):
        query, items = queries[person, step].view(2, -1), table.view(N_ITEMS, 2, -1)
        cosines = torch.cosine_similarity(query, items, dim=-1)  # (items, members)
        expected = 10 * cosines.mean(dim=1) + model.items.bias
        torch.testing.assert_close(said[person, step], expected, rtol=1e-4, atol=1e-4)


def test_the_table_starts_from_the_principal_components() -> None:
    teacher = Teacher(trained(tiny(PLAIN)))
    own = teacher.model.items.embedding.detach()
    whole, narrow = torch.zeros_like(own), torch.zeros(N_ITEMS, 3)
    teacher.start(whole)
    teacher.start(narrow)
    torch.testing.assert_close(whole @ whole.T, own @ own.T, rtol=1e-4, atol=1e-5)
    best = torch.linalg.svd(own).S[:3]  # no three directions hold more
    found = torch.linalg.svd(narrow).S[:3]
    torch.testing.assert_close(found / found.norm(), best / best.norm(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(narrow.square().mean(), own.square().mean())


def test_a_table_wider_than_the_teachers_keeps_the_rest_of_its_own() -> None:
    table = torch.ones(N_ITEMS, 20)
    Teacher(trained(tiny(PLAIN))).start(table)  # whose width is 12
    assert (table[:, 12:] == 1).all()
    assert not (table[:, :12] == 1).any()


def test_the_student_comes_nearer_to_the_teacher_than_events_bring_it() -> None:
    rates = {"pretrain_epochs": 25, "meta_epochs": 0, "learning_rate": 0.01, "patience": 25}
    narrow = {**PLAIN, "members": 1, "dim": 8}
    taught = tiny(narrow, teacher_members=4, teacher_dim=8, **rates)
    teacher = trained(teachers_config(taught))
    assert teacher.config.width == 32
    strangers = Histories.from_lists([row[:3] for row in people(200, seed=9)])
    expected = shares(teacher, strangers)

    def distance(model: ClusterSeq) -> float:
        """Kullback-Leibler divergence in nats."""
        logs = shares(model, strangers).log()
        return float(torch.nn.functional.kl_div(logs, expected, reduction="batchmean"))

    by_events, by_teacher = distance(trained(tiny(narrow, **rates))), distance(trained(taught))
    assert by_teacher < by_events / 2


def test_the_teacher_is_told_of_apart(uninterrupted: ClusterSeq) -> None:
    watcher = Interrupter()
    assert equal(trained(TAUGHT, watcher=watcher), uninterrupted)
    assert watcher.stages == ["prepare", "teacher", "pretrain", "meta"]
    told = list(dict.fromkeys(record["stage"] for record in watcher.records))
    assert told == ["teacher", "pretrain", "meta"]
    assert uninterrupted.config.width == 6


@pytest.mark.parametrize(
    ("stage", "step"),
    [("teacher", 1), ("teacher", 8), ("teacher", 12), ("pretrain", 6), ("meta", 9)],
)
def test_resumed_equals_uninterrupted_bit_for_bit(
    uninterrupted: ClusterSeq, tmp_path: Path, stage: str, step: int
) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained(TAUGHT, watcher=Interrupter(stage, step), resume_at=tmp_path)
    watcher = Interrupter()
    assert equal(trained(TAUGHT, watcher=watcher, resume_at=tmp_path, resume=True), uninterrupted)
    assert ("teacher" in watcher.stages) == (stage == "teacher" and step < 12)


def test_without_pretraining_there_is_nothing_to_teach() -> None:
    config = tiny({"members": 1}, teacher_members=2, pretrain_epochs=0)
    assert equal(trained(config), trained(tiny({"members": 1}, pretrain_epochs=0)))
