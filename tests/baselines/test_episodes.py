"""The loop that all meta-learning peers share, and that each of them learns by it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from clusterseq.baselines.episodes import Schedule, draw_rivals, learn
from clusterseq.baselines.mecos import fit_mecos
from clusterseq.baselines.melu import fit_melu
from clusterseq.baselines.metatl import fit_metatl
from clusterseq.baselines.peer import Setting
from clusterseq.baselines.popularity import Popularity
from clusterseq.bench.planted import World
from clusterseq.data.histories import Histories
from clusterseq.data.sequences import Sequences
from clusterseq.data.tasks import Tasks
from clusterseq.errors import DataError
from clusterseq.judging.scorer import Scorer

WORLD = World.of((0.6, 0.4), own=12, shared=4, generator=np.random.default_rng(0))
KNOWN = WORLD.draw(300, 3, 7, np.random.default_rng(1)).sequences
VALIDATION = WORLD.draw(60, 2, 6, np.random.default_rng(2)).sequences
SETTING = Setting(KNOWN, VALIDATION, WORLD.n_items, seed=3)
BRIEF = Schedule(support=3, batch=64, learning_rate=0.01, most_steps=80, check_every=20)
FITS: dict[str, Callable[..., Scorer]] = {
    "mecos": fit_mecos,
    "melu": fit_melu,
    "metatl": partial(fit_metatl, mended=False),
    "metatl-mended": partial(fit_metatl, mended=True),
}


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_it_learns_who_goes_where(fit: Callable[..., Scorer]) -> None:
    popularity = SETTING.mrr(Popularity.fit(KNOWN, WORLD.n_items))
    assert SETTING.mrr(fit(SETTING, schedule=BRIEF)) > 1.3 * popularity


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_the_same_seed_gives_the_same_scores_whatever_else_is_drawn(
    fit: Callable[..., Scorer],
) -> None:
    brief = Schedule(support=3, batch=8, most_steps=6, check_every=2)
    history = Histories.from_lists([[1, 2]])
    before = torch.random.get_rng_state()
    one = fit(SETTING, schedule=brief).score(history)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(5)
    assert torch.equal(fit(SETTING, schedule=brief).score(history), one)
    other = fit(Setting(KNOWN, VALIDATION, WORLD.n_items, seed=4), schedule=brief)
    assert not torch.allclose(other.score(history), one)


class Slider(nn.Module):
    """Rises by about the learning rate a step, and ranks best when it stands near 0.5."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.tensor(0.0))

    def loss(self, tasks: Tasks, generator: torch.Generator) -> Tensor:
        return -self.place

    def score(self, histories: Histories) -> Tensor:
        noise = torch.rand(len(histories), 2_000, generator=torch.Generator().manual_seed(0))
        noise[:, 0] = 1 - (self.place.detach() - 0.5).abs()
        return noise


def test_training_ends_after_some_checks_and_keeps_the_best_state() -> None:
    people = Sequences.from_rows([[1, 0], [2, 0]])
    setting, slider = Setting(people, people, 2_000), Slider()
    schedule = Schedule(support=1, batch=2, learning_rate=0.1, check_every=1, patience=3)
    assert learn(slider, slider.loss, slider.score, setting, schedule) == 5
    assert slider.place.item() == pytest.approx(0.5, abs=1e-4)


def test_nobody_with_two_events_is_an_error() -> None:
    slider = Slider()
    with pytest.raises(DataError, match="two events"):
        learn(
            slider,
            slider.loss,
            slider.score,
            Setting(Sequences.from_rows([[1]]), VALIDATION, 9),
            BRIEF,
        )


def test_rivals_are_uniform_over_what_a_person_does_not_hold() -> None:
    held = torch.tensor([[7, 2, 2, 9]]).expand(4_000, -1)  # 9 is padding of a catalogue of 9
    uniform = torch.rand(4_000, 2, generator=torch.Generator().manual_seed(0))
    counts = torch.bincount(draw_rivals(held, 9, uniform).flatten(), minlength=9)
    assert counts[[2, 7]].tolist() == [0, 0]
    assert (counts[[0, 1, 3, 4, 5, 6, 8]] - 8_000 / 7).abs().max() < 150


def test_whoever_holds_everything_still_gets_items_of_the_catalogue() -> None:
    rivals = draw_rivals(torch.tensor([[0, 1, 2]]), 3, torch.tensor([[0.0, 0.99]]))
    assert set(rivals.flatten().tolist()) <= {0, 1, 2}
