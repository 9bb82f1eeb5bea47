"""BERT4Rec: items hidden at random places are guessed from both sides; the next item is one more.

Sun et al., "BERT4Rec: Sequential Recommendation with Bidirectional Encoder Representations from
Transformer" (CIKM 2019, arXiv 1904.06690). For a recommendation a mask is appended to the history
and guessed. The authors add training sequences in which only the last item is hidden, since that
is the question in the end; here half of them are such, each cut at a random place before, because
a newcomer's history is short. Positions are counted from the end, as in a left-padded batch.

Knows nothing about: optimisers, losses, ranking.
"""

from __future__ import annotations

from functools import partial

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn.functional import pad

from clusterseq.baselines.item_table import ItemTable
from clusterseq.baselines.neural import NextItemNetwork
from clusterseq.baselines.transformer import Transformer, positions
from clusterseq.data.histories import Histories

CUT = 0.5
"""Share of the training sequences that are cut and hide their last item alone."""


class BERT4Rec(NextItemNetwork):
    """A transformer in which every step reads all true steps."""

    def __init__(
        self,
        items: ItemTable,
        *,
        max_steps: int = 10,
        blocks: int = 2,
        heads: int = 2,
        dropout: float = 0.2,
        hidden: float = 0.3,
    ) -> None:
        """``hidden`` is the share of items hidden in uncut sequences of the training."""
        super().__init__(items, max_steps)
        self.hidden = hidden
        self.mask_vector = nn.Parameter(torch.randn(items.dim) * items.dim**-0.5)
        self.positions = positions(max_steps + 1, items.dim)
        self.transformer = Transformer(items.dim, blocks=blocks, heads=heads, dropout=dropout)

    def guesses(
        self,
        sequences: Histories,
        hidden: Bool[Tensor, "users steps"],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "users steps dim"]:
        """The output at every step of sequences whose hidden items give way to the mask."""
        inputs = torch.where(hidden[:, :, None], self.mask_vector, self.items(sequences.items))
        steps = inputs.shape[1]
        indices = torch.arange(steps, device=inputs.device)
        to_end = (sequences.lengths[:, None] - 1 - indices).clamp_min(0)
        readable = sequences.mask[:, None].expand(-1, steps, -1)
        outputs: Tensor = self.transformer(inputs + self.positions[to_end], readable, generator)
        return outputs

    def exercises(
        self, windows: Histories, generator: torch.Generator
    ) -> tuple[Float[Tensor, "prefixes dim"], Int64[Tensor, " prefixes"]]:
        """The cloze: outputs in the places of hidden items, with these items."""
        people, steps = windows.items.shape
        draw = partial(torch.rand, generator=generator, device=generator.device)
        sizes = 2 + (draw(people) * (windows.lengths - 1)).long()
        cut = draw(people) < CUT
        sequences = Histories(windows.items, torch.where(cut, sizes, windows.lengths))
        anywhere = draw(people, steps) < self.hidden
        last = torch.arange(steps, device=generator.device) == sequences.lengths[:, None] - 1
        hidden = torch.where(cut[:, None], last, anywhere) & sequences.mask
        if not hidden.any():  # as may be where few people are left for a last batch
            hidden = last
        return self.guesses(sequences, hidden, generator)[hidden], sequences.items[hidden]

    def query(self, histories: Histories) -> Float[Tensor, "users dim"]:
        """The guess at a mask appended to the history."""
        extended = Histories(pad(histories.items, (0, 1)), histories.lengths + 1)
        indices = torch.arange(extended.items.shape[1], device=extended.items.device)
        last = indices == histories.lengths[:, None]
        return self.guesses(extended, last)[last]
