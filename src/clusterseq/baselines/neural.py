"""What the neural peers share: networks that turn a history into a query, and how they learn.

RecTools, the kept library with SASRec and BERT4Rec, asks for numpy below 2 on Python 3.11 and this
package for 2 or later, so the peers are written here, after their papers. All of them learn by the
stages of our own model, AdamW with warm-up and a cosine, and stop early by the judge's MRR (ours
follows the likelihood); of epochs that the judge can't tell apart the newest is kept, as with ours.

Knows nothing about: particular networks and losses, grids, test users.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from clusterseq.baselines.item_table import ItemTable
from clusterseq.baselines.next_item_losses import ItemLoss
from clusterseq.baselines.peer import Setting
from clusterseq.data.histories import Histories
from clusterseq.data.windows import Windows
from clusterseq.judging.judge import mean_reciprocal_rank
from clusterseq.learning.stage import Place, Stage, run_stage
from clusterseq.machine.progress import Silent


class NextItemNetwork(nn.Module):
    """A scorer that reads items in order and gives, after each prefix, a query for the next one.

    It has no mode: dropout happens where a generator is given, and nowhere else.
    """

    needs_history = True

    def __init__(self, items: ItemTable, max_steps: int) -> None:
        super().__init__()
        self.items, self.n_items, self.max_steps = items, items.n_items, max_steps

    def encode(
        self, histories: Histories, generator: torch.Generator | None = None
    ) -> Float[Tensor, "users steps dim"]:
        """The query after every prefix; past a history's length it means nothing."""
        raise NotImplementedError

    def exercises(
        self, windows: Histories, generator: torch.Generator
    ) -> tuple[Float[Tensor, "prefixes dim"], Int64[Tensor, " prefixes"]]:
        """Queries of training windows, with the items that they should find."""
        inputs = Histories(windows.items[:, :-1], windows.lengths - 1)
        return self.encode(inputs, generator)[inputs.mask], windows.items[:, 1:][inputs.mask]

    def query(self, histories: Histories) -> Float[Tensor, "users dim"]:
        """The query after the whole history."""
        return histories.newest(self.encode(histories))

    @torch.no_grad()
    def score(self, histories: Histories) -> Float[Tensor, "users items"]:
        """The catalogue's logits; without a history the biases alone are left."""
        if not len(histories):  # torch's recurrent layers refuse an empty batch
            return torch.empty(0, self.n_items)
        histories = histories.last(self.max_steps).to(self.items.bias.device)
        return self.items.logits(self.query(histories) * (histories.lengths > 0)[:, None])


Network = TypeVar("Network", bound=NextItemNetwork)


@dataclass(frozen=True)
class Training:
    """How a network is trained."""

    loss: ItemLoss
    """What is minimised."""
    learning_rate: float
    """The peak, after a first epoch of warming up."""
    epochs: int
    """Most epochs."""
    windows: int = 128
    """Windows in a batch."""
    patience: int = 5
    """Epochs without a better validation before the training ends."""


def fit_network(setting: Setting, build: Callable[[], Network], training: Training) -> Network:
    """Build a network and train it on the known people, as long as newcomers favour (``stage``).

    Raises:
        TrainingError: the loss is not finite.
    """
    network = seeded(build, setting.generator("weights")).to(setting.device)
    windows, judges = Windows.of(setting.known, network.max_steps), setting.judges()

    def batches(generator: np.random.Generator) -> Sequence[Histories]:
        return windows.batches(training.windows, generator)

    def loss(batch: Histories, generator: torch.Generator) -> Tensor:
        queries, targets = network.exercises(batch.to(setting.device), generator)
        return training.loss(network.items, queries, targets, generator)

    stage = Stage(
        name="peer",
        epochs=training.epochs,
        groups=[(list(network.parameters()), training.learning_rate)],
        batches=batches,
        loss=loss,
        validate=lambda: mean_reciprocal_rank(network.score, judges),
        patience=training.patience,
    )
    place = Place(stage.name)
    run_stage(stage, network, place, seed=setting.seed, watcher=Silent(), checkpoint=lambda: None)
    return network


def seeded(build: Callable[[], Network], generator: torch.Generator) -> Network:
    """A network whose first weights depend on the generator alone.

    Torch's layers draw them from the process's generator, which can't be handed in: it is borrowed
    for that and given back as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(generator.initial_seed())
        return build()
