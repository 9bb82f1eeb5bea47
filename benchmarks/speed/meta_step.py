"""A step of meta-training: adapt to 1,024 people and learn from what each takes of 2,048 items.

They are drawn from 12,000, as by default: who competes is told in ``train.rivals``.

Second-order MAML with the default preset's inner loop. The rivals do the work that the literature's
programs do: the same maths person by person, a plain network adapted by automatic differentiation,
and the published MetaTL's step, which ranks one rival instead of thousands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.figures import Figure, seconds
from benchmarks.speed.machine import machine
from benchmarks.speed.settings import model_of
from benchmarks.speed.world import people
from clusterseq.baselines.metatl import MetaTL
from clusterseq.config import TrainConfig
from clusterseq.data.tasks import Tasks, draw_tasks
from clusterseq.learning.calibrate import scalars
from clusterseq.learning.folds import FoldTasks
from clusterseq.learning.metatrain import MetaLoss
from clusterseq.learning.pretrain import backbone
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.rivals import Rivals

SECTION = "meta-training step"
TASKS, USERS, ITEMS = 1_024, 20_000, 12_000
ALONE = 16
"""People of the loops, whose seconds grow with people alone."""
INNER_RATE = 0.02


def run() -> Iterator[Figure]:
    """Users a second, for K = 3 and 10 and widths of 64 and 256."""
    known = people(USERS, ITEMS)
    for dim in (64, 256):
        model = model_of(known, ITEMS, members=1, dim=dim)
        for support in (3, 10):
            users = np.arange(TASKS)
            tasks = draw_tasks(known, users, np.random.default_rng(0), support=support)
            yield from _compared(model, tasks, dim, support)


def _compared(model: ClusterSeq, tasks: Tasks, dim: int, support: int) -> Iterator[Figure]:
    step = own_step(model, tasks)
    with FlopCounterMode(display=False) as counter:
        step()
    took = seconds(step)
    share = counter.get_total_flops() / took / 1e9 / machine().gflops
    case, speed = f"K = {support}, d = {dim}", len(tasks) / took
    floor = "measured rate of products"
    target = "ratio >= 0.5" if dim == 256 else ""
    yield Figure(SECTION, f"users, {case}", speed, "users/s")
    yield Figure(SECTION, f"operations, {case}", share, "share", floor, share, target)
    few = Tasks(tasks.support[:ALONE], tasks.targets[:ALONE])
    loop = ALONE / seconds(_loop(model, few), runs=3)
    yield Figure(
        SECTION, case, speed, "users/s", "same maths in a loop", speed / loop, "ratio >= 30"
    )
    plain = ALONE / seconds(_plain_step(dim, few), runs=3)
    yield Figure(SECTION, case, speed, "users/s", "plain torch.nn MAML in a loop", speed / plain)
    metatl = len(tasks) / seconds(_metatl_step(dim, tasks, support))
    yield Figure(SECTION, case, speed, "users/s", "MetaTL's step", speed / metatl, "ratio >= 10")


def own_step(model: ClusterSeq, tasks: Tasks) -> Callable[[], None]:
    """Loss, gradients and AdamW of what meta-training trains by default; what pre-training has
    trained and what validation users have fitted stands still."""
    loss, batch = MetaLoss(model, TrainConfig()), FoldTasks(tasks, model.memory)
    loss.settle()
    draws = torch.Generator(model.device)
    for value in [*backbone(model), *scalars(model)]:
        value.requires_grad_(False)
    trained = [value for value in model.parameters() if value.requires_grad]
    optimiser = torch.optim.AdamW(trained, 1e-9, fused=True)

    def step() -> None:
        optimiser.zero_grad()
        loss(batch, draws.manual_seed(0)).backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    return step


def _loop(model: ClusterSeq, tasks: Tasks) -> Callable[[], None]:
    """The same for one person at a time; the items, which all share, are made ready and drawn
    once."""
    loss, draws = MetaLoss(model, TrainConfig()), torch.Generator()
    loss.settle()
    rivals = Rivals.draw(tasks.targets, ITEMS, TrainConfig().rivals, draws.manual_seed(0))

    def step() -> None:
        for row in range(len(tasks)):
            alone = FoldTasks(tasks[slice(row, row + 1)], model.memory)
            outer = loss.against(rivals, alone, draws.manual_seed(0))
            outer.backward()  # type: ignore[no-untyped-call]

    return step


class Plain(nn.Module):
    """The seed's model as one would write it first: embedding, GRU, and a decoder that adapts."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.items = nn.Embedding(ITEMS, dim)
        self.encoder = nn.GRU(dim, dim, batch_first=True)
        self.decoder = nn.Linear(dim, dim)

    def forward(self, items: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        states, _ = self.encoder(self.items(items)[None])
        return nn.functional.linear(states[0], weight, bias) @ self.items.weight.T


def _plain_step(dim: int, tasks: Tasks) -> Callable[[], None]:
    """Three inner steps on the decoder by automatic differentiation, person by person."""
    model = Plain(dim)
    people = zip(tasks.support.items, tasks.support.lengths, strict=True)
    histories = [items[:length] for items, length in people]

    def step() -> None:
        for history, target in zip(histories, tasks.targets, strict=True):
            weight: Tensor = model.decoder.weight
            bias: Tensor = model.decoder.bias
            for _ in range(3 if len(history) > 1 else 0):
                scores = model(history[:-1], weight, bias)
                loss = nn.functional.cross_entropy(scores, history[1:])
                gradients = torch.autograd.grad(loss, (weight, bias), create_graph=True)
                weight, bias = weight - INNER_RATE * gradients[0], bias - INNER_RATE * gradients[1]
            last = model(history, weight, bias)[-1:]
            outer = nn.functional.cross_entropy(last, target[None])
            outer.backward()  # type: ignore[no-untyped-call]

    return step


def _metatl_step(dim: int, tasks: Tasks, support: int) -> Callable[[], None]:
    generator = torch.Generator().manual_seed(0)
    model = MetaTL(ITEMS, generator, mended=False, support=support, dim=dim)
    optimiser = torch.optim.Adam(model.parameters(), 1e-9)

    def step() -> None:
        optimiser.zero_grad()
        model.loss(tasks, generator).backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    return step
