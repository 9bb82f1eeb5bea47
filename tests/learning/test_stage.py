"""One stage of training: rates, early stopping, resumption, losses that are not finite."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from clusterseq.errors import TrainingError
from clusterseq.learning.stage import FINAL_RATE, Place, Stage, run_stage
from clusterseq.machine.progress import Silent

POINTS = torch.linspace(-1, 1, 12)


class Line(nn.Module):
    """A line through the origin, to be fitted to the slope 2."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.zeros(1))

    def loss(self, batch: Tensor, generator: torch.Generator) -> Tensor:
        noise = 0.1 * torch.randn(batch.shape, generator=generator)
        return ((self.slope - 2) * batch + noise).square().mean()


class Diary:
    """A watcher that keeps all it is told."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, int, int]] = []
        self.records: list[Mapping[str, Any]] = []

    def step(self, stage: str, done: int, total: int) -> None:
        self.steps.append((stage, done, total))

    def epoch(self, record: Mapping[str, Any]) -> None:
        self.records.append(record)


def batches(generator: np.random.Generator) -> Sequence[Tensor]:
    return torch.split(POINTS[torch.from_numpy(generator.permutation(len(POINTS)))], 4)


def stage_of(model: Line, **changes: Any) -> Stage[Tensor]:
    stage = Stage(
        "fit", 4, [(list(model.parameters()), 0.1)], batches, model.loss, validate=None, patience=9
    )
    return dataclasses.replace(stage, **changes)


def run(
    model: Line,
    stage: Stage[Tensor],
    place: Place | None = None,
    *,
    seed: int = 0,
    checkpoint: Callable[[], None] = lambda: None,
) -> Diary:
    diary, place = Diary(), place or Place(stage.name)
    run_stage(stage, model, place, seed=seed, watcher=diary, checkpoint=checkpoint)
    return diary


def slope_after(**changes: Any) -> float:
    model = Line()
    run(model, stage_of(model, **changes))
    return model.slope.item()


def test_training_fits_and_tells_of_every_step_and_epoch() -> None:
    model = Line()
    diary = run(model, stage_of(model, epochs=30))
    assert model.slope.item() == pytest.approx(2, abs=0.2)
    assert diary.steps == [("fit", done, 90) for done in range(1, 91)]
    assert [record["epoch"] for record in diary.records] == list(range(1, 31))
    assert diary.records[-1]["loss"] < diary.records[0]["loss"]
    assert all(record["stage"] == "fit" and record["seconds"] >= 0 for record in diary.records)


def test_the_rate_warms_up_over_an_epoch_and_falls_to_a_twentieth() -> None:
    rates: list[float] = []
    model = Line()

    class Recorder(torch.optim.AdamW):
        def step(self, closure: Any = None) -> None:  # type: ignore[override]
            rates.append(self.param_groups[0]["lr"])
            super().step(closure)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim, "AdamW", Recorder)
        run(model, stage_of(model))
    epochs = (np.arange(12) + 1) / 3
    cosine = (1 + np.cos(np.pi * epochs / 4)) / 2
    shares = np.minimum(1, epochs) * (FINAL_RATE + (1 - FINAL_RATE) * cosine)
    assert rates == pytest.approx(0.1 * shares)
    assert rates[-1] == pytest.approx(0.1 * FINAL_RATE)


def test_the_same_seed_gives_the_same_weights() -> None:
    slopes = []
    for seed in (0, 0, 1):
        model = Line()
        run(model, stage_of(model), seed=seed)
        slopes.append(model.slope.item())
    assert slopes[0] == slopes[1] != slopes[2]


def judged(*scores: float) -> Callable[[], float]:
    """A validation that gives these scores in turn, the first before training."""
    given = iter(scores)
    return lambda: next(given)


def slopes_after_each_epoch(epochs: int) -> list[float]:
    slopes = []
    model = Line()
    place = Place("fit")
    run(
        model,
        stage_of(model, epochs=epochs),
        place,
        checkpoint=lambda: slopes.append(model.slope.item()) if place.step == 0 else None,
    )
    return slopes


def test_early_stopping_leaves_the_model_of_the_best_epoch() -> None:
    slopes = slopes_after_each_epoch(6)
    model = Line()
    stage = stage_of(model, epochs=6, validate=judged(0.1, 0.3, 0.5, 0.4, 0.48, 0.2), patience=3)
    diary = run(model, stage)
    assert [record["validation_mrr"] for record in diary.records] == [0.3, 0.5, 0.4, 0.48, 0.2]
    assert [record["kept"] for record in diary.records] == [True, True, False, False, False]
    assert [record["best"] for record in diary.records] == [0.3, 0.5, 0.5, 0.5, 0.5]
    assert model.slope.item() == slopes[1]


def test_what_a_stage_does_not_train_gets_no_gradient_while_it_trains() -> None:
    model, other = Line(), nn.Parameter(torch.ones(1))
    model.register_parameter("other", other)
    model.register_parameter("still", nn.Parameter(torch.ones(1), requires_grad=False))
    seen = []

    def loss(batch: Tensor, generator: torch.Generator) -> Tensor:
        seen.append(other.requires_grad)
        return model.loss(batch, generator) * other

    run(model, stage_of(model, groups=[([model.slope], 0.1)], loss=loss))
    assert not any(seen)
    assert other.requires_grad
    assert not model.still.requires_grad, "nor after it, if it had none before"
    assert other.grad is None


def test_a_stage_that_never_helps_leaves_the_model_as_it_was() -> None:
    assert slope_after(validate=judged(0.5, 0.4, 0.45, 0.3), patience=3) == 0


def test_of_epochs_that_noise_alone_tells_apart_the_last_one_counts() -> None:
    slopes = slopes_after_each_epoch(4)
    judges = judged(0.1, 0.500, 0.495, 0.491, 0.489)
    assert slope_after(validate=judges, patience=1) == slopes[2]


def test_without_validation_the_last_epoch_counts() -> None:
    assert slope_after() == slopes_after_each_epoch(4)[-1]


def test_no_epochs_change_nothing() -> None:
    assert slope_after(epochs=0) == 0
    assert slope_after(epochs=0, validate=judged(0.5)) == 0


class Interruption(Exception):
    """Somebody stopped the training."""


@pytest.mark.parametrize("steps", range(12))
def test_going_on_from_a_place_equals_going_through(steps: int) -> None:
    def validated(model: Line) -> Stage[Tensor]:
        calls: list[float] = []

        def before() -> None:
            calls.append(0)
            model.slope.data += 0.01  # as the clusters' refreshment changes the model

        return stage_of(model, validate=lambda: -abs(model.slope.item() - 1), before_epoch=before)

    whole = Line()
    run(whole, validated(whole))

    model, place, left = Line(), Place("fit"), steps

    def stop() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Interruption

    with pytest.raises(Interruption):
        run(model, validated(model), place, checkpoint=stop)
    again = Line()
    again.load_state_dict(model.state_dict())
    moments = {name: value.clone() for name, value in place.moments.items()}
    run(again, validated(again), dataclasses.replace(place, moments=moments))
    assert again.slope.item() == whole.slope.item()


def test_a_loss_that_is_not_finite_ends_it_with_the_place() -> None:
    model, taken = Line(), 0

    def loss(batch: Tensor, generator: torch.Generator) -> Tensor:
        nonlocal taken
        taken += 1
        return model.loss(batch, generator) * (torch.nan if taken == 5 else 1)

    with pytest.raises(TrainingError, match="fit, epoch 2, step 2: the loss is nan"):
        run(model, stage_of(model, loss=loss))
    assert math.isfinite(model.slope.item())


def test_a_gradient_that_is_not_finite_ends_it_before_it_harms() -> None:
    model = Line()

    def loss(batch: Tensor, generator: torch.Generator) -> Tensor:
        return (model.slope * 0).sqrt().sum()

    with pytest.raises(TrainingError, match="fit, epoch 1, step 1: the norm of the gradient"):
        run(model, stage_of(model, loss=loss))
    assert model.slope.item() == 0


def test_a_validation_that_is_not_finite_ends_it() -> None:
    """The last step of an epoch may be the one that was too far."""
    model = Line()
    judged = iter([0.5, 0.6, math.nan])
    with pytest.raises(TrainingError, match="fit, epoch 2: the validation mrr is nan"):
        run(model, stage_of(model, validate=lambda: next(judged)))


def test_gradients_are_clipped() -> None:
    seen: list[float] = []
    model = Line()

    class Recorder(torch.optim.AdamW):
        def step(self, closure: Any = None) -> None:  # type: ignore[override]
            assert model.slope.grad is not None
            seen.append(model.slope.grad.norm().item())
            super().step(closure)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim, "AdamW", Recorder)
        run(model, stage_of(model, clip=0.01))
    assert max(seen) == pytest.approx(0.01, rel=1e-3)


def test_a_place_begins_anew() -> None:
    place = Place("fit", epoch=3, step=2, best=0.5, kept_tensors={"slope": torch.ones(1)})
    place.begin("next")
    assert place == Place("next")


def test_silence_is_a_watcher() -> None:
    model = Line()
    place = Place("fit")
    run_stage(stage_of(model), model, place, seed=0, watcher=Silent(), checkpoint=lambda: None)
    assert place.epoch == 4
