"""What is read must not be written over: it would be lost where it is needed.

Knows nothing about: what is read or written.
"""

from __future__ import annotations

from pathlib import Path

from clusterseq.errors import DataError
from clusterseq.reading.sources import Source, pieces_of


def refuse_overwriting(source: Source, *outputs: Path | None) -> None:
    """Refuse to write over what is about to be read.

    Raises:
        DataError: an output is one of the inputs.
    """
    existing = [output for output in outputs if output is not None and output.is_file()]
    for piece in pieces_of(source) if existing else ():
        for output in existing:
            if isinstance(piece, str | Path) and Path(piece).exists() and output.samefile(piece):
                raise DataError(
                    f"{output}: is what is read, and would be lost; name another file to write",
                    code="output",
                )
