"""An epoch of pre-training over all prefixes of a beauty shop's people.

The rival is a SASRec of the same width on the same windows and as many items in its softmax, in
plain PyTorch (``clusterseq.baselines``), with as many windows in a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.speed.figures import Figure, seconds
from benchmarks.speed.settings import model_of
from benchmarks.speed.world import people
from clusterseq.baselines.item_table import ItemTable
from clusterseq.baselines.next_item_losses import SampledSoftmax
from clusterseq.baselines.sasrec import SASRec
from clusterseq.config import ModelConfig, TrainConfig
from clusterseq.data.histories import Histories
from clusterseq.data.windows import Windows
from clusterseq.learning.pretrain import PrefixLoss

SECTION = "pre-training epoch"
USERS, ITEMS, STEPS = 22_363, 12_101, 10
"""People and items of beauty_5core; how many batches are timed."""
CONFIG = TrainConfig()

Loss: TypeAlias = Callable[[Histories, torch.Generator], Tensor]


def run() -> Iterator[Figure]:
    """Seconds an epoch at width 64, and of the default preset."""
    known = people(USERS, ITEMS)
    windows = Windows.of(known, CONFIG.window)
    batches = windows.batches(CONFIG.sequences_per_batch, np.random.default_rng(0))
    rival = _sasrec(64)
    theirs = epoch(rival, _sasrec_loss(rival), batches)
    for members, dim in ((1, 64), (ModelConfig().members, ModelConfig().dim)):
        model = model_of(known, ITEMS, members=members, dim=dim)
        ours = epoch(model, PrefixLoss(model, CONFIG), batches)
        name = f"{members} × {dim}"
        yield Figure(SECTION, name, ours, "s", "SASRec of width 64", theirs / ours)


def epoch(network: nn.Module, loss: Loss, batches: Sequence[Histories]) -> float:
    """Seconds of all batches, from some that were run."""
    optimiser = torch.optim.AdamW(network.parameters(), 1e-9, fused=True)
    device = next(network.parameters()).device

    def steps() -> None:
        for batch in batches[:STEPS]:
            optimiser.zero_grad()
            draws = torch.Generator(device).manual_seed(0)
            loss(batch, draws).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return seconds(steps, runs=3) * len(batches) / STEPS


def _sasrec(dim: int) -> SASRec:
    return SASRec(ItemTable(ITEMS, dim), max_steps=CONFIG.window, blocks=1, heads=1, dropout=0.2)


def _sasrec_loss(network: SASRec) -> Loss:
    softmax = SampledSoftmax(CONFIG.rivals)

    def loss(batch: Histories, generator: torch.Generator) -> Tensor:
        return softmax(network.items, *network.exercises(batch, generator), generator)

    return loss
