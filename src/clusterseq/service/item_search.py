"""The catalogue as people search it: by words of a title or an id, the most popular first.

Knows nothing about: HTTP, models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Int64

from clusterseq.reading.vocab import Vocabulary


class ItemSearch:
    """Items in the order of their popularity, with the text that words are looked for in."""

    def __init__(
        self,
        items: Vocabulary,
        titles: Sequence[str | None] | None,
        counts: Int64[np.ndarray, " items"],
    ) -> None:
        frame = pl.DataFrame(
            {
                "item": items.series,
                "title": pl.Series(
                    [None] * len(items) if titles is None else titles, dtype=pl.String
                ),
                "count": counts,
            }
        ).with_row_index("place")
        text = pl.concat_str(
            pl.col("title").fill_null(""), pl.lit("\n"), pl.col("item").cast(pl.String)
        )
        self._rows = frame.sort("count", "place", descending=[True, False]).with_columns(
            text=text.str.to_lowercase()
        )

    def search(self, query: str, limit: int) -> tuple[list[dict[str, Any]], int]:
        """The first items that hold all words of a query, and how many do; all without words.

        An item whose id is the query comes before all others.
        """
        rows = self._rows
        for word in query.lower().split():
            rows = rows.filter(pl.col("text").str.contains(word, literal=True))
        exact = pl.col("item").cast(pl.String) == query.strip()
        if query.strip():  # polars keeps the order of equals if it is told to
            rows = rows.sort(exact, descending=True, maintain_order=True)
        return rows.head(limit).select("item", "title", "count").to_dicts(), len(rows)
