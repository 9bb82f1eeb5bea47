"""One stage of training: epochs of steps with validation, early stopping and exact resumption.

Every draw of a step comes from generators seeded by (seed, stage, epoch, step), so the state to go
on from is the parameters, the optimiser's moments and a place; nothing hidden in between.

Knows nothing about: what is learnt; signals.
"""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor, nn

from clusterseq.errors import TrainingError
from clusterseq.machine.progress import Watcher
from clusterseq.machine.workers import ALONE, Workers

Batch = TypeVar("Batch")
MRR = "validation_mrr"
"""What the mean reciprocal rank of validation users is called in logs."""
NOISE = 0.02
"""A later epoch is kept unless its MRR is worse by more than this share: validation users are few,
and the learning rate of a later epoch is lower."""
LOOK_EVERY = 50
"""Steps between two looks at the loss where it is computed on an accelerator."""
FINAL_RATE = 0.05
"""Share of the learning rate that is left at the end of the cosine."""


@dataclass(frozen=True)
class Stage(Generic[Batch]):
    """What a stage does; all functions are of their arguments and the model alone."""

    name: str
    """Its name in logs and states."""
    epochs: int
    """Most epochs."""
    groups: Sequence[tuple[Sequence[nn.Parameter], float]]
    """Parameters to train, with their learning rates before warm-up and cosine."""
    batches: Callable[[np.random.Generator], Sequence[Batch]]
    """The batches of one epoch."""
    loss: Callable[[Batch, torch.Generator], Tensor]
    """The loss of one batch; the generator serves dropout and negatives."""
    validate: Callable[[], float] | None
    """Higher is better; None runs all epochs and keeps the last."""
    measure: str = MRR
    """What that number is called in logs."""
    noise: float = NOISE
    """Share of the best number by which a later epoch may fall short and still be kept."""
    before_epoch: Callable[[], None] = lambda: None
    """Called before each epoch's first step."""
    patience: int = 3
    """Epochs in a row that aren't kept, after which the stage ends."""
    clip: float = 5.0
    """Largest norm of a gradient."""
    weight_decay: float = 0.0
    """Decoupled weight decay."""
    divided: Sequence[nn.Parameter] = ()
    """Of which each process holds and trains a part: their gradients are nobody else's."""


@dataclass
class Place:
    """Where a stage stands, and the best it has seen."""

    stage: str
    """Name of the stage."""
    epoch: int = 0
    """Epochs behind us."""
    step: int = 0
    """Steps of this epoch behind us."""
    total: Tensor | float = 0.0
    """Sum of this epoch's losses, which may still be on its way from an accelerator."""
    best: float = -math.inf
    """Best validation so far."""
    since_kept: int = 0
    """Epochs since one was good enough to be kept, which may be a little worse than the best."""
    kept_tensors: dict[str, Tensor] = field(default_factory=dict)
    """The model as it was then: newer than the best, where both are as good as can be told."""
    moments: dict[str, Tensor] = field(default_factory=dict)
    """What the optimiser remembers."""

    def begin(self, stage: str) -> None:
        """Stand at the start of another stage."""
        vars(self).update(vars(Place(stage)))


def run_stage(
    stage: Stage[Batch],
    model: nn.Module,
    place: Place,
    *,
    seed: int,
    watcher: Watcher,
    checkpoint: Callable[[], None],
    workers: Workers = ALONE,
) -> None:
    """Train from ``place`` to the stage's end and leave the model as it was last kept.

    ``checkpoint`` is called after every step and may keep the state or raise KeyboardInterrupt.

    Raises:
        TrainingError: the loss is not finite.
    """
    device = next(model.parameters()).device
    optimiser = _optimiser(stage)
    _restore(optimiser, place.moments)
    if stage.validate and not place.kept_tensors:
        place.best, place.kept_tensors = workers.agreed(stage.validate()), _copy(model)
    while place.epoch < stage.epochs and place.since_kept < stage.patience:
        started = time.monotonic()
        if place.step == 0:  # resumed amid an epoch, it was done before the state was kept
            stage.before_epoch()
        batches = stage.batches(np.random.default_rng(_entropy(seed, stage.name, place.epoch)))
        unchecked = zeros = torch.zeros(2, dtype=torch.float64, device=device)
        for step in range(place.step, len(batches)):
            _set_rates(optimiser, stage, place.epoch + (step + 1) / len(batches))
            with _the_rest_frozen(stage, model):
                generator = _generator(device, seed, stage.name, place.epoch, step)
                loss = stage.loss(batches[step], generator)
                numbers = _descend(loss, optimiser, stage, workers)
            place.total, unchecked = place.total + numbers[0], unchecked + numbers
            # An accelerator runs ahead of this process, which would make it wait at every look.
            if device.type == "cpu" or step % LOOK_EVERY == 0 or step + 1 == len(batches):
                _require_finite(unchecked, stage, place.epoch, step)
                unchecked = zeros
            place.step, place.moments = step + 1, _moments(optimiser)
            watcher.step(
                stage.name, place.epoch * len(batches) + step + 1, stage.epochs * len(batches)
            )
            if step + 1 < len(batches):
                checkpoint()
        record: dict[str, Any] = {"stage": stage.name, "epoch": place.epoch + 1}
        record["loss"] = float(place.total) / max(1, len(batches))
        _judge(stage, model, place, record, workers)
        place.epoch, place.step, place.total = place.epoch + 1, 0, 0.0
        watcher.epoch(record | {"seconds": round(time.monotonic() - started, 3)})
        checkpoint()
    if place.kept_tensors:
        model.load_state_dict(place.kept_tensors)


@contextmanager
def _the_rest_frozen(stage: Stage[Batch], model: nn.Module) -> Iterator[None]:
    """Spend nothing on gradients that no step would follow."""
    trained = {id(value) for group, _ in stage.groups for value in group}
    frozen = [v for v in model.parameters() if v.requires_grad and id(v) not in trained]
    for value in frozen:
        value.requires_grad_(False)
    try:
        yield
    finally:
        for value in frozen:
            value.requires_grad_(True)


def _judge(
    stage: Stage[Batch], model: nn.Module, place: Place, record: dict[str, Any], workers: Workers
) -> None:
    if stage.validate is None:
        return
    record[stage.measure] = score = workers.agreed(stage.validate())
    if not math.isfinite(score):  # the last step was too far, and no loss has told yet
        noun = stage.measure.replace("_", " ")
        raise _diverged(f"{stage.name}, epoch {place.epoch + 1}", noun, score)
    place.since_kept += 1
    record["kept"] = score > place.best - stage.noise * abs(place.best)
    if record["kept"]:
        place.best, place.since_kept = max(score, place.best), 0
        place.kept_tensors = _copy(model)
    record["best"] = place.best  # so far; before the first epoch, what the stage began with


def _descend(
    loss: Tensor, optimiser: torch.optim.Optimizer, stage: Stage[Batch], workers: Workers
) -> Float64[Tensor, 2]:
    """Take a step; returns the loss and the norm of its gradient. If either isn't finite, no step.

    That no step is taken is decided where the numbers are, as gradient scaling does it.
    """
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    divided = {id(parameter) for parameter in stage.divided}
    shared = [p for p in parameters if id(p) not in divided]
    workers.sum_gradients(shared)
    norm = nn.utils.get_total_norm(_gradients(shared))
    if stage.divided:
        local_square = nn.utils.get_total_norm(_gradients(stage.divided)).square()
        norm = (norm.square() + workers.total(local_square)).sqrt()
    nn.utils.clip_grads_with_norm_(parameters, stage.clip, norm)
    numbers = torch.stack([workers.total(loss).detach().double().squeeze(), norm.double()])
    optimiser.found_inf = (~numbers.isfinite().all()).float()  # type: ignore[attr-defined]
    optimiser.step()
    return numbers


def _gradients(parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def _require_finite(
    numbers: Float64[Tensor, 2], stage: Stage[Batch], epoch: int, step: int
) -> None:
    for noun, value in zip(("loss", "norm of the gradient"), numbers.tolist(), strict=True):
        if not math.isfinite(value):
            raise _diverged(f"{stage.name}, epoch {epoch + 1}, step {step + 1}", noun, value)


def _diverged(where: str, noun: str, value: float) -> TrainingError:
    return TrainingError(
        f"{where}: the {noun} is {value}; what was kept before stays; lower the learning "
        "rate and train again"
    )


def _optimiser(stage: Stage[Batch]) -> torch.optim.Optimizer:
    groups = [{"params": list(params), "lr": rate, "peak": rate} for params, rate in stage.groups]
    return torch.optim.AdamW(groups, weight_decay=stage.weight_decay, fused=True)


def _set_rates(optimiser: torch.optim.Optimizer, stage: Stage[Batch], epochs: float) -> None:
    """A cosine to a twentieth, times a linear warm-up over the first epoch.

    The product stays below the rate itself: at most .94 of it in six epochs, .27 in a single one.
    """
    cosine = (1 + math.cos(math.pi * epochs / stage.epochs)) / 2
    share = min(1.0, epochs) * (FINAL_RATE + (1 - FINAL_RATE) * cosine)
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * share


def _moments(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    return {
        f"{index}.{name}": value
        for index, values in optimiser.state_dict()["state"].items()
        for name, value in values.items()
    }


def _restore(optimiser: torch.optim.Optimizer, moments: dict[str, Tensor]) -> None:
    if not moments:
        return
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in moments.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _entropy(seed: int, name: str, *numbers: int) -> list[int]:
    return [seed, zlib.crc32(name.encode()), *numbers]


def _generator(
    device: torch.device, seed: int, name: str, epoch: int, step: int
) -> torch.Generator:
    words = np.random.SeedSequence(_entropy(seed, name, epoch, step)).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(words[0] >> np.uint64(1)))
