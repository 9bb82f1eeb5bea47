"""What the neural peers share: networks that turn a history into a query, and how they learn.

RecTools, the kept library with SASRec and BERT4Rec, asks for numpy below 2 on Python 3.11 and this
package for 2 or later, so the peers are written here, after their papers. All of them learn by the
stages of our own model, AdamW with warm-up and a cosine, and stop early by the judge's MRR (ours
follows the likelihood); of epochs that the judge can't tell apart the newest is kept, as with ours.

Knows nothing about: particular networks and losses, grids, test users.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from clusterseq.baselines.item_table import Geometry, ItemTable
from clusterseq.baselines.next_item_losses import ItemLoss
from clusterseq.baselines.peer import Setting
from clusterseq.data.histories import Histories
from clusterseq.data.windows import Windows
from clusterseq.judging.judge import mean_reciprocal_rank
from clusterseq.learning.stage import Place, Stage, run_stage
from clusterseq.machine.progress import Silent

BATCH = 128
"""Windows in a batch."""
PATIENCE = 5
"""Epochs without a better validation before the training ends."""


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


def fit_network(
    network_of: Callable[..., Network],
    setting: Setting,
    *,
    loss: ItemLoss,
    geometry: Geometry = "cosine",
    learning_rate: float = 6e-3,
    dim: int = 64,
    epochs: int = 20,
    **options: Any,
) -> Network:
    """Build a network and train it on the known people, as long as newcomers favour (``stage``).

    Args:
        network_of: makes one of a table of items and the options that aren't named here.
        learning_rate: the peak, after a first epoch of warming up.
        epochs: at most so many.

    Raises:
        TrainingError: the loss is not finite.
    """

    def build() -> Network:
        return network_of(ItemTable(setting.n_items, dim, geometry), **options)

    network = seeded(build, setting.generator("weights")).to(setting.device)
    windows, judges = Windows.of(setting.known, network.max_steps), setting.judges()

    def batches(generator: np.random.Generator) -> Sequence[Histories]:
        return windows.batches(BATCH, generator)

    def batch_loss(batch: Histories, generator: torch.Generator) -> Tensor:
        queries, targets = network.exercises(batch.to(setting.device), generator)
        return loss(network.items, queries, targets, generator)

    stage = Stage(
        name="peer",
        epochs=epochs,
        groups=[(list(network.parameters()), learning_rate)],
        batches=batches,
        loss=batch_loss,
        validate=lambda: mean_reciprocal_rank(network.score, judges),
        patience=PATIENCE,
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
