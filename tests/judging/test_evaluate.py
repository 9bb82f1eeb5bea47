"""The protocol: who counts, who competes, who is in which group, and what is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from clusterseq.baselines.peer import Setting
from clusterseq.data.histories import Histories
from clusterseq.data.sequences import Sequences
from clusterseq.errors import ClusterSeqError, ConfigError, DataError
from clusterseq.judging.evaluate import Evaluation, draw_negatives, evaluate, popularity_groups


class Fixed:
    """Gives everyone the same scores and remembers what it was shown."""

    needs_history = False

    def __init__(self, scores: list[float]) -> None:
        self.row = torch.tensor(scores)
        self.n_items = len(scores)
        self.seen: list[list[int]] = []
        self.batches: list[int] = []

    def score(self, histories: Histories) -> Float[Tensor, "users items"]:
        lengths = histories.lengths.tolist()
        rows = zip(histories.items.tolist(), lengths, strict=True)
        self.seen += [row[:length] for row, length in rows]
        self.batches.append(len(lengths))
        return self.row.repeat(len(lengths), 1)


def sequences(*rows: list[int]) -> Sequences:
    items = np.array([item for row in rows for item in row], dtype=np.int32)
    offsets = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    return Sequences(items, np.arange(len(items)), offsets)


def random_people(n: int, n_items: int, seed: int = 0) -> Sequences:
    generator = np.random.default_rng(seed)
    return sequences(
        *(generator.integers(0, n_items, generator.integers(0, 9)).tolist() for _ in range(n))
    )


def counts(scorer: Fixed) -> Int64[np.ndarray, " items"]:
    return np.arange(1, scorer.n_items + 1)


def full_ranks(
    scorer: Fixed, people: Sequences, k: int = 3, keep_seen: bool = False
) -> list[float]:
    result = evaluate(scorer, people, item_counts=counts(scorer), k=k, keep_seen=keep_seen)
    ranks: list[float] = result.full_ranks.tolist()
    return ranks


def test_only_people_with_more_than_k_events_count_and_only_k_items_are_shown() -> None:
    scorer = Fixed([0.0] * 8)
    people = sequences([0, 1, 2], [], [3, 4, 5, 6, 7], [1, 2, 3, 0])
    result = evaluate(scorer, people, item_counts=counts(scorer))
    assert result.users.tolist() == [2, 3]
    assert scorer.seen == [[3, 4, 5], [1, 2, 3]]


def test_the_support_does_not_compete_unless_asked_for() -> None:
    scorer = Fixed([6.0, 5.0, 4.0, 3.0, 2.0, 1.0])
    people = sequences([0, 1, 5, 4], [5, 4, 3, 2])
    assert full_ranks(scorer, people) == [3.0, 3.0]
    assert full_ranks(scorer, people, keep_seen=True) == [5.0, 3.0]


@pytest.mark.parametrize(("keep_seen", "expected"), [(False, 1.0), (True, 2.0)])
def test_a_target_among_the_support_still_competes(keep_seen: bool, expected: float) -> None:
    assert full_ranks(Fixed([3.0, 2.0, 1.0]), sequences([0, 1, 1, 1]), keep_seen=keep_seen) == [
        expected
    ]


@pytest.mark.parametrize(("k", "expected"), [(0, 1.0), (1, 2.0), (2, 3.0), (5, 6.0), (10, 11.0)])
def test_any_k(k: int, expected: float) -> None:
    scorer = Fixed([float(-item) for item in range(12)])
    assert full_ranks(scorer, sequences(list(range(12))), k=k, keep_seen=True) == [expected]
    assert full_ranks(scorer, sequences(list(range(12))), k=k) == [1.0]


def test_ties_share_the_middle_in_both_rankings() -> None:
    scorer = Fixed([0.0] * 1000)
    result = evaluate(scorer, sequences([1, 2, 3, 4, 5]), item_counts=counts(scorer))
    assert result.full_ranks.tolist() == [(1 + 997) / 2]
    assert result.sampled_ranks.tolist() == [(1 + 101) / 2]


def test_negatives_are_distinct_untouched_and_uniform() -> None:
    touched, hits = np.array([0, 7, 7, 19]), np.zeros(400)
    for seed in range(400):
        drawn = draw_negatives(touched, 400, np.random.default_rng(seed))
        assert len(set(drawn.tolist())) == 100
        hits[drawn] += 1
    assert hits[touched].sum() == 0
    untouched = np.delete(hits, touched)
    assert untouched.mean() == pytest.approx(400 * 100 / 397)
    assert untouched.std() == pytest.approx(math.sqrt(400 * 0.252 * 0.748), rel=0.15)


def test_negatives_avoid_items_after_the_target_too() -> None:
    # Items 0 to 4 are the only ones that beat the target, and the person touches all of them.
    scorer = Fixed([9.0] * 5 + [5.0] + [1.0] * 200)
    result = evaluate(scorer, sequences([0, 1, 2, 5, 3, 4]), item_counts=counts(scorer))
    assert result.sampled_ranks.tolist() == [1.0]
    assert result.full_ranks.tolist() == [3.0]


def test_a_small_catalogue_gives_the_negatives_it_has() -> None:
    result = evaluate(Fixed([1.0] * 6), sequences([0, 1, 2, 3]), item_counts=np.ones(6, dtype=int))
    assert result.sampled_ranks.tolist() == [(1 + 3) / 2]
    nobody_left = evaluate(Fixed([1.0] * 4), sequences([0, 1, 2, 3]), item_counts=np.ones(4, int))
    assert nobody_left.sampled_ranks.tolist() == [1.0]


def people_at_once(monkeypatch: pytest.MonkeyPatch, people: int, n_items: int) -> None:
    """Let so many people be scored at once."""
    monkeypatch.setattr("clusterseq.judging.evaluate.SCORES_AT_ONCE", people * n_items)


def test_the_draw_depends_on_seed_and_person_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = Fixed(np.random.default_rng(5).random(500).tolist())
    people = random_people(60, 500)
    ranks = {}
    for at_once in (60, 1, 7):
        people_at_once(monkeypatch, at_once, 500)
        for seed in (0, 1):
            found = evaluate(scorer, people, item_counts=counts(scorer), seed=seed)
            ranks[seed, at_once] = found.sampled_ranks.tolist()
    assert ranks[0, 60] == ranks[0, 1] == ranks[0, 7]
    assert ranks[1, 60] == ranks[1, 7]
    assert ranks[0, 60] != ranks[1, 60]


def test_people_come_in_batches_and_progress_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer, told = Fixed([0.0] * 9), []
    people = sequences(*[[0, 1, 2, 3]] * 7)
    people_at_once(monkeypatch, 3, 9)
    evaluate(
        scorer,
        people,
        item_counts=counts(scorer),
        progress=lambda done, total: told.append((done, total)),
    )
    assert scorer.batches == [3, 3, 1]
    assert told == [(3, 7), (6, 7), (7, 7)]


def test_a_batch_is_small_when_the_catalogue_is_large() -> None:
    scorer = Fixed([0.0] * 3_000_000)
    evaluate(scorer, sequences(*[[0, 1]] * 3), k=1, item_counts=counts(scorer))
    assert scorer.batches == [2, 1]


def test_groups_are_thirds_by_popularity_of_the_support_and_ties_keep_their_order() -> None:
    item_counts = np.array([1, 3, 9, 27])
    support = np.array([[3, 3], [0, 2], [1, 1], [2, 0], [0, 0], [3, 2], [1, 1]])
    groups = popularity_groups(support, item_counts)
    # Log counts in thirds: 3 | 1 | 1 | 1 | 0 | 2.5 | 1: two at each end, ties by place.
    assert groups["minor"].tolist() == [1, 4]
    assert groups["major"].tolist() == [0, 5]


def test_people_of_equal_popularity_keep_their_order() -> None:
    support = np.random.default_rng(0).integers(0, 2, (300, 1))
    groups = popularity_groups(support, np.array([2, 7]))
    ordered = sorted(range(300), key=lambda person: support[person, 0])  # a stable sort
    assert groups["minor"].tolist() == sorted(ordered[:100])
    assert groups["major"].tolist() == sorted(ordered[200:])


def test_groups_do_not_depend_on_the_scorer() -> None:
    people = random_people(50, 40)
    one = evaluate(Fixed([0.0] * 40), people, item_counts=np.arange(1, 41))
    other = evaluate(Fixed(list(map(float, range(40)))), people, item_counts=np.arange(1, 41))
    for name in ("minor", "major"):
        assert one.groups[name].tolist() == other.groups[name].tolist()
        assert len(one.groups[name]) == len(one.users) // 3


def test_layout_of_the_dictionary() -> None:
    scorer = Fixed(list(map(float, range(40))))
    result = evaluate(scorer, random_people(50, 40), item_counts=counts(scorer))
    layout = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert list(layout) == ["k", "users", "full", "sampled", "groups"]
    assert (layout["k"], layout["users"]) == (3, len(result.users))
    assert list(layout["groups"]) == ["minor", "major"]
    names = ["mrr", "hr@1", "hr@5", "hr@10", "ndcg@5", "ndcg@10"]
    for part in (layout, *layout["groups"].values()):
        for ranking in ("full", "sampled"):
            assert list(part[ranking]) == names + [f"{name}_ci95" for name in names]
            low, high = part[ranking]["mrr_ci95"]
            assert low <= part[ranking]["mrr"] <= high
    minor = result.full_ranks[result.groups["minor"]]
    assert layout["groups"]["minor"]["full"]["mrr"] == pytest.approx((1 / minor).mean())


def test_groups_without_people_are_null() -> None:
    scorer = Fixed([0.0] * 5)
    for k, people in ((0, sequences(*[[0, 1]] * 9)), (1, sequences([0, 1], [1, 0]))):
        layout = evaluate(scorer, people, k=k, item_counts=counts(scorer)).to_dict()
        assert layout["groups"]["minor"]["users"] == 0
        assert set(layout["groups"]["minor"]["full"].values()) == {None}
        assert layout["full"]["mrr"] > 0


def test_more_groups_can_be_added() -> None:
    ranks = np.array([1.0, 2.0])
    members = {"cluster 0": np.array([1])}
    layout = Evaluation(3, np.array([4, 9]), ranks, ranks, members).to_dict()
    assert layout["groups"]["cluster 0"]["full"]["mrr"] == 0.5


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_scores_that_are_not_finite_are_refused(wrong: float) -> None:
    scorer = Fixed([0.0, 1.0, wrong, 2.0, 3.0])
    with pytest.raises(
        ClusterSeqError, match=r"1 scores are not finite, the first is .* of item 2"
    ):
        evaluate(scorer, sequences([0, 1, 3, 4]), item_counts=counts(scorer))


def test_scores_of_the_wrong_shape_are_refused() -> None:
    scorer = Fixed([0.0] * 5)
    scorer.row = torch.zeros(6)
    with pytest.raises(ClusterSeqError, match=r"shape \(1, 6\) for 1 people and 5 items"):
        evaluate(scorer, sequences([0, 1, 2, 3]), item_counts=counts(scorer))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (lambda scores: scores.numpy(), "scores of type ndarray; a scorer must give a tensor of"),
        (lambda scores: scores.tolist(), "scores of type list; a scorer must give a tensor of peo"),
        (lambda scores: scores.to_sparse(), r"scores of layout torch\.sparse_coo and torch"),
        (lambda scores: scores + 1j, r"and torch\.complex64; a scorer must give a dense tensor of"),
        (lambda scores: None, "scores of type NoneType; a scorer must give a tensor of people × i"),
        (lambda scores: scores[0], r"scores of shape \(5,\) for 1 people and 5 items"),
    ],
)
def test_what_is_no_tensor_of_scores_is_told(
    unchecked: None, given: Callable[[Tensor], Any], told: str
) -> None:
    class Strange(Fixed):
        def score(self, histories: Histories) -> Any:
            return given(super().score(histories))

    scorer, people = Strange([0.0] * 5), sequences([0, 1, 2, 3])
    with pytest.raises(ConfigError, match=told) as caught:
        evaluate(scorer, people, item_counts=counts(scorer))
    assert str(caught.value.code) == "extension"
    with pytest.raises(ConfigError, match=told.partition(" for")[0]):
        Setting(people, sequences([0, 1]), 5).mrr(scorer)


def test_what_a_scorer_lacks_is_told(unchecked: None) -> None:
    scorer: Any = Fixed([0.0] * 5)
    del scorer.n_items
    told = "the scorer Fixed has no n_items; give it needs_history, n_items, score"
    with pytest.raises(ConfigError, match=told):
        evaluate(scorer, sequences([0, 1, 2, 3]), item_counts=np.ones(5, dtype=np.int64))
    with pytest.raises(ConfigError, match=told):
        Setting(sequences([0, 1]), sequences([0, 1]), 5).mrr(scorer)


@pytest.mark.parametrize(
    ("people", "options", "error", "message"),
    [
        (sequences([0, 1, 2]), {}, DataError, "none of 1 people has more than k = 3 events"),
        (sequences(), {}, DataError, "none of 0 people"),
        (sequences([0, 1, 2, 5]), {}, DataError, r"outside 0 … 4"),
        (sequences([0, 1, 2, -1]), {}, DataError, r"outside 0 … 4"),
        (sequences([0, 1, 2, 3]), {"k": -1}, ConfigError, "k = -1 can't be used; give a whole num"),
        (
            sequences([0, 1, 2, 3]),
            {"item_counts": np.ones(7, dtype=np.int64)},
            ConfigError,
            "ranks 5 items and the counts are of 7",
        ),
    ],
)
def test_what_cannot_be_evaluated_is_refused(
    people: Sequences, options: dict[str, object], error: type[Exception], message: str
) -> None:
    scorer = Fixed([0.0] * 5)
    with pytest.raises(error, match=message):
        evaluate(scorer, people, **{"item_counts": counts(scorer), **options})  # type: ignore[arg-type]


def test_no_history_is_refused_for_a_scorer_that_needs_one() -> None:
    scorer = Fixed([0.0] * 5)
    scorer.needs_history = True
    with pytest.raises(ConfigError, match="k = 0 gives it none"):
        evaluate(scorer, sequences([0, 1]), item_counts=counts(scorer), k=0)
