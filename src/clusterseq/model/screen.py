"""Rough scores of the catalogue in eight bits, and how far off they can be.

Vectors are rounded to whole numbers between −127 and 127, each times a scale of its own. A product
of such numbers reads a quarter of the memory, and processors multiply four times as many at once.
Whoever wants the best items scores those alone exactly that are roughly the best: by Cauchy and
Schwarz the rough product of a query q̂ ≈ q and an item v̂ ≈ v is off by at most
|q| |v − v̂| + |q − q̂| |v̂|, so it can be told whether any other item might be better.

Knows nothing about: the memory, what may not be recommended, how many are wanted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, reduce

import torch
from jaxtyping import Float, Int8, Int32
from torch import Tensor

from clusterseq.model.head import Candidates

LARGEST = 127
PIECE = 128
"""Dimensions of a large catalogue that lie side by side. Of longer rows, a processor that reads
many at once loses sight of what comes next."""
SMALL = 2**23
"""Numbers of a catalogue that stays in a cache: one product takes less time than several."""
ROWS_AT_ONCE = 16_384
"""Items that are rounded together."""
CELLS_AT_ONCE = 1_000_000
"""Bound on people × items of one product, so that its results are still in a cache when scaled."""
FEWEST_DIMENSIONS = 16
"""Shorter vectors gain nothing."""
SLACK = 1e-5
"""Share of the product of both lengths that single precision may lose by itself."""


@dataclass(frozen=True, eq=False)
class Screen:
    """A catalogue in eight bits."""

    pieces: tuple[Int8[Tensor, "items _"], ...]
    """The items' vectors, some dimensions each."""
    scales: Float[Tensor, " items"]
    """What an item's whole numbers are multiplied by."""
    traits: Float[Tensor, "traits items"]
    """What is not rounded: there is little of it, and it is large."""
    miss: float
    """The largest |v − v̂|."""
    length: float
    """The largest |v̂|."""
    reach: float
    """The largest length of an item's columns, traits included."""

    @staticmethod
    def fits(items: Candidates) -> bool:
        """Whether rough scores take less time than exact ones."""
        columns = items.columns
        fit = columns.device.type == "cpu" and columns.dtype == torch.float32
        return fit and items.width >= FEWEST_DIMENSIONS and multiplies_bytes()

    @classmethod
    def of(cls, items: Candidates) -> Screen:
        """Round a catalogue.

        >>> generator = torch.Generator().manual_seed(0)
        >>> columns = torch.randn(50, 33, generator=generator)
        >>> screen = Screen.of(Candidates(columns, width=32, scale=0.0))
        >>> query = torch.randn(1, 33, generator=generator)
        >>> rough, error = screen.scores(query)
        >>> bool(((rough - query @ columns.T).abs() <= error[:, None]).all())
        True
        """
        columns = items.columns
        vectors = items.vectors
        n_pieces = 1 if vectors.numel() <= SMALL else -(-items.width // PIECE)
        cut = vectors.tensor_split(n_pieces, dim=1)
        pieces = [torch.empty_like(piece, dtype=torch.int8) for piece in cut]
        scales, miss, length, reach = columns.new_empty(len(columns)), 0.0, 0.0, 0.0
        for start in range(0, len(columns), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            rounded, scales[rows] = _rounded(vectors[rows])
            for piece, numbers in zip(pieces, rounded.tensor_split(n_pieces, dim=1), strict=True):
                piece[rows] = numbers
            dequantised = rounded * scales[rows, None]
            miss = max(miss, _longest(vectors[rows] - dequantised))
            length = max(length, _longest(dequantised))
            reach = max(reach, _longest(columns[rows]))
        return cls(tuple(pieces), scales, items.traits.T.contiguous(), miss, length, reach)

    def scores(
        self, queries: Float[Tensor, "users columns"]
    ) -> tuple[Float[Tensor, "users items"], Float[Tensor, " users"]]:
        """Rough products with all items, and by how much each person's can be off.

        Of a query that isn't finite the latter isn't, either.
        """
        width = sum(piece.shape[1] for piece in self.pieces)
        vectors, trait_weights = queries.split_with_sizes([width, queries.shape[1] - width], dim=1)
        slack = SLACK * queries.norm(dim=1) * self.reach
        if torch.compiler.is_compiling():
            errors = vectors.norm(dim=1) * self.miss
            return self._in_one_loop(vectors, trait_weights), errors + slack
        rounded, scales = _rounded(vectors)
        dequantised = rounded * scales[:, None]
        integers = rounded.to(torch.int8)
        scores = queries.new_empty(len(queries), len(self.scales))
        at_once = max(1, CELLS_AT_ONCE // max(1, len(self.scales)))
        for start in range(0, len(queries), at_once):
            rows = slice(start, start + at_once)
            torch.mul(_whole_products(integers[rows], self.pieces), self.scales, out=scores[rows])
        scores.mul_(scales[:, None]).addmm_(trait_weights, self.traits)
        errors = (vectors - dequantised).norm(dim=1) * self.length + vectors.norm(dim=1) * self.miss
        return scores, errors + slack

    def _in_one_loop(
        self, vectors: Float[Tensor, "users width"], trait_weights: Float[Tensor, "users traits"]
    ) -> Float[Tensor, "users items"]:
        """Products of queries as they are, in words that a compiler makes a single loop of.

        Uncompiled, each person would take a catalogue in single precision. Whole numbers are no
        way here: compiled by PyTorch 2.13, ``torch._int_mm`` is wrong for one person.
        """
        parts = vectors.tensor_split(len(self.pieces), dim=1)
        pairs = zip(parts, self.pieces, strict=True)
        products = reduce(torch.add, ((part[:, None] * piece).sum(dim=2) for part, piece in pairs))
        of_traits = (trait_weights[:, :, None] * self.traits).sum(dim=1)
        return products * self.scales + of_traits


def _whole_products(
    queries: Int8[Tensor, "users width"], pieces: tuple[Int8[Tensor, "items _"], ...]
) -> Int32[Tensor, "users items"]:
    """Exact products of whole numbers."""
    pairs = zip(queries.tensor_split(len(pieces), dim=1), pieces, strict=True)
    return reduce(Tensor.add_, (_product(part.contiguous(), piece) for part, piece in pairs))


def _product(
    queries: Int8[Tensor, "users width"], items: Int8[Tensor, "items width"]
) -> Int32[Tensor, "users items"]:
    # Processors with matrix tiles (AMX) fill one with the rows of the first factor: of one person
    # it would be nearly empty. Elsewhere the order makes no difference.
    if len(queries) == 1:
        return torch._int_mm(items, queries.T).T
    return torch._int_mm(queries, items.T)


def _rounded(
    vectors: Float[Tensor, "rows width"],
) -> tuple[Float[Tensor, "rows width"], Float[Tensor, " rows"]]:
    """Whole numbers, and what multiplies each row of them to give nearly its vector."""
    scales = vectors.abs().amax(dim=1).clamp_min(1e-30) / LARGEST
    return (vectors / scales[:, None]).round().clamp(-LARGEST, LARGEST), scales


def _longest(vectors: Float[Tensor, "rows width"]) -> float:
    return float(vectors.norm(dim=1).max()) if len(vectors) else 0.0


@cache
def multiplies_bytes() -> bool:
    """Whether this processor multiplies eight-bit numbers faster than others, and rightly.

    Some sum pairs of products in sixteen bits, which are too few for the largest.
    """
    if not torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        return False
    extreme = torch.full((64, PIECE), LARGEST, dtype=torch.int8)
    expected = PIECE * LARGEST**2
    return bool((torch._int_mm(extreme, -extreme.T.contiguous()) == -expected).all()) and bool(
        (torch._int_mm(extreme, extreme[:1].T) == expected).all()
    )
