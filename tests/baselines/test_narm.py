"""NARM's attention against its formula, written out in loops."""

from __future__ import annotations

import torch

from clusterseq.baselines.item_table import ItemTable
from clusterseq.baselines.narm import NARM
from clusterseq.data.histories import Histories


def test_the_query_holds_the_newest_state_and_a_weighted_sum_of_all() -> None:
    torch.manual_seed(0)
    network = NARM(ItemTable(10, 4), max_steps=5, dropout=0.3)
    histories = Histories.from_lists([[3, 7, 5]])
    states = network.encoder(network.items(histories.items))[0][0]
    for step, query in enumerate(network.encode(histories)[0]):
        local = torch.zeros(4)
        for earlier in states[: step + 1]:
            both = network.newest(states[step]) + network.earlier(earlier)
            local += network.fit(torch.sigmoid(both)) * earlier
        expected = network.decoder(torch.cat([states[step], local]))
        torch.testing.assert_close(query, expected)
