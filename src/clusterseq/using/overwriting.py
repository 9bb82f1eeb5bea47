"""What is read must not be written over, nor a model by anything else: it would be lost.

Knows nothing about: what is read or written.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from clusterseq.data.dataset import is_dataset
from clusterseq.errors import DataError
from clusterseq.machine.directory import current_path
from clusterseq.machine.unfinished import unfinished_at
from clusterseq.reading.sources import Source, pieces_of


def refuse_overwriting(source: Source, *outputs: Path | None, model: Path | None = None) -> None:
    """Refuse to write over what is about to be read, into a model, or twice to one file.

    Raises:
        DataError: an output is one of the inputs, lies in the model, or is another output.
    """
    given = [output for output in outputs if output is not None]
    existing = [output for output in given if output.is_file()]
    for piece in _files(source) if existing else ():
        for output in existing:
            if piece.exists() and output.samefile(piece):
                raise DataError(
                    f"{output}: is what is read, and would be lost; name another file to write",
                    code="output",
                )
    for number, output in enumerate(given):
        if model is not None and _lies_in(output, current_path(model)):
            reason = f"lies in {model}, which is a model's alone"
        elif output.resolve() in [other.resolve() for other in given[:number]]:
            reason = "is to be written twice"
        else:
            continue
        raise DataError(f"{output}: {reason}; name another file to write", code="output")


def refuse_replacing(out: Path, source: Source, *others: Path | None) -> None:
    """Refuse to replace a directory with what is needed in it, or with traces to be kept.

    Raises:
        DataError: events or another path lie in ``out``, or where its training keeps its state.
    """
    folders = (out, unfinished_at(out))
    for piece in (*_files(source), *others):
        for folder in folders:
            if piece is not None and _lies_in(piece, folder):
                raise DataError(
                    f"{piece}: lies in {folder}, which is replaced, and would be lost; keep it "
                    "elsewhere or name another place to write",
                    code="output",
                )


def _files(source: Source) -> Iterator[Path]:
    """The files that are read, a data set's among them; what is no file is passed over."""
    for entry in source if isinstance(source, list | tuple) else [source]:
        if isinstance(entry, str | Path) and is_dataset(entry):
            yield from current_path(entry).iterdir()
        else:
            yield from (Path(piece) for piece in pieces_of(entry) if isinstance(piece, str | Path))


def _lies_in(path: Path, folder: Path) -> bool:
    """Whether it, or the link that it is, is inside of the folder."""
    home = folder.resolve()
    places = (path.resolve(), path.parent.resolve() / path.name)
    return any(home in place.parents for place in places)
