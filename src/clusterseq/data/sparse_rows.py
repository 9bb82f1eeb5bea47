"""Rows of a sparse matrix that is kept as three arrays, picked by plain indexing.

Knows nothing about: what the matrix holds.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int64
from torch import Tensor


def entries_of_rows(
    starts: Int64[Tensor, " bounds"],
    rows: Int64[Tensor, " rows"],
    there: Bool[Tensor, " rows"] | None = None,
) -> tuple[Int64[Tensor, " entries"], Int64[Tensor, " rows"]]:
    """Where the entries of some rows lie, one row after another, and how many each row has.

    ``starts`` holds where each row of the matrix begins, and where the last one ends. A row that
    isn't ``there`` counts as empty.

    >>> places, sizes = entries_of_rows(torch.tensor([0, 2, 2, 5]), torch.tensor([2, 0, 1]))
    >>> places.tolist(), sizes.tolist()
    ([2, 3, 4, 0, 1], [3, 2, 0])
    """
    first = starts.index_select(0, rows)
    sizes = starts.index_select(0, rows + 1) - first
    if there is not None:
        sizes = sizes * there
    ends = sizes.cumsum(dim=0)
    total = int(ends[-1]) if len(ends) else 0
    shifts = (first - (ends - sizes)).repeat_interleave(sizes, output_size=total)
    return torch.arange(total, device=starts.device) + shifts, sizes
