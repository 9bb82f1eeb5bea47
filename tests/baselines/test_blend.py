"""A blend of scorers whose scores are known, and one of two that have learnt."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from clusterseq.baselines.blend import Blend, by_evidence
from clusterseq.baselines.peer import Setting
from clusterseq.baselines.sequence_rules import SequenceRules
from clusterseq.baselines.session_knn import SessionKNN
from clusterseq.data.histories import Histories
from clusterseq.data.sequences import Sequences
from clusterseq.errors import ConfigError
from tests.baselines.planted import KNOWN, SETTING, WORLD, gain_over_popularity


class Fixed:
    """The same scores for everyone."""

    def __init__(self, *scores: float, needs_history: bool = False) -> None:
        self.scores, self.n_items, self.needs_history = scores, len(scores), needs_history

    def score(self, histories: Histories) -> Tensor:
        return torch.tensor(self.scores).repeat(len(histories), 1)


def test_scores_are_the_weighted_mean_on_one_scale() -> None:
    blend = Blend([Fixed(-100.0, 300.0, 0.0), Fixed(0.01, 0.0, 0.005)], [0.4, 0.6])
    scores = blend.score(Histories.from_lists([[0], []]))
    expected = [0.4 * 0 + 0.6 * 1, 0.4 * 1 + 0.6 * 0, 0.4 * 0.25 + 0.6 * 0.5]
    assert scores.tolist() == [pytest.approx(expected)] * 2


def test_the_weights_are_those_that_validation_users_like_best() -> None:
    """Everyone goes on to item 2: neither scorer has it first, and some of their means have."""
    newcomers = Sequences.from_rows([[0, 2]] * 3)
    setting = Setting(newcomers, newcomers, n_items=4)
    left, right = Fixed(0.0, 1.0, 0.7, 0.0), Fixed(0.0, 0.0, 0.7, 1.0)
    blend = Blend.fit(setting, [left, right])
    assert 0 < blend.weights[0] < 1
    assert setting.mrr(blend) == 1
    worse = [setting.mrr(Blend([left, right], [1 - w, w])) for w in (0.0, 0.2, 0.8, 1.0)]
    assert max(worse) == 0.5


def test_a_scorer_that_only_harms_gets_no_weight() -> None:
    newcomers = Sequences.from_rows([[0, 2]] * 3)
    setting = Setting(newcomers, newcomers, n_items=4)
    good, bad = Fixed(0.0, 0.0, 1.0, 0.9), Fixed(0.0, 0.9, 0.0, 1.0)
    assert Blend.fit(setting, [bad, good, bad]).weights == (0.0, 1.0, 0.0)


def test_it_needs_a_history_if_one_of_its_scorers_does() -> None:
    assert not Blend([Fixed(0.0, 1.0)] * 2, [0.5, 0.5]).needs_history
    assert Blend([Fixed(0.0, 1.0), Fixed(1.0, 0.0, needs_history=True)], [1.0, 0.0]).needs_history


def test_scorers_of_two_catalogues_are_no_blend() -> None:
    with pytest.raises(ConfigError, match=r"scorers of \[2, 3\] items"):
        Blend([Fixed(0.0, 1.0), Fixed(0.0, 1.0, 2.0)], [0.5, 0.5])


def test_it_is_at_least_as_good_as_each_of_what_it_blends() -> None:
    parts = [model.fit(KNOWN, WORLD.n_items) for model in (SequenceRules, SessionKNN)]
    blend = Blend.fit(SETTING, parts)
    assert gain_over_popularity(blend) >= max(map(gain_over_popularity, parts))


def test_evidence_of_other_sizes_is_weighed_alike() -> None:
    """One part's evidence is a hundredth of its range, and right where the other is wrong."""
    newcomers = Sequences.from_rows([[0, 2]] * 3)
    setting = Setting(newcomers, newcomers, n_items=5)
    small, large = Fixed(-1.0, 0.004, 0.01, -0.5, -0.2), Fixed(-1.0, 7.0, 6.0, 6.5, -0.2)
    blend = Blend.fit(setting, [large, small, large])
    assert setting.mrr(blend) == 1
    scaled = by_evidence(small.score(Histories.from_lists([[0]])))
    assert scaled.argsort(descending=True).tolist() == [[2, 1, 4, 3, 0]]
    assert scaled[0, 2] == 1
