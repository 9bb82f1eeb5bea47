"""Events as commands read them: any number of paths or a prepared data set, and what was read; and
what isn't written for their sake.

Knows nothing about: what becomes of the events.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from clusterseq.data.dataset import Data, Dataset, is_dataset
from clusterseq.errors import DataError
from clusterseq.machine.directory import present
from clusterseq.machine.unfinished import unfinished_at
from clusterseq.reading.event_report import EventReport
from clusterseq.reading.events import read_events
from clusterseq.reading.sources import pieces_of
from clusterseq.showing.terminal import screen


def read_data(
    paths: list[str],
    user_column: str | None = None,
    item_column: str | None = None,
    time_column: str | None = None,
    skip_bad: bool = False,
    *,
    quiet: bool = False,
) -> Data:
    """Read events, or load the data set that ``clusterseq prepare`` made, and say what was read.

    Raises:
        DataError: they can't be read.
    """
    data: Data
    if any(is_dataset(path) for path in paths):
        if len(paths) > 1:
            raise DataError(
                f"{paths[0]}: a data set stands alone; prepare all of its files together"
            )
        data = Dataset.load(paths[0])
    else:
        data = read_events(
            paths if len(paths) > 1 else paths[0],
            user_column=user_column,
            item_column=item_column,
            time_column=time_column,
            skip_bad=skip_bad,
        )
    if not quiet:
        print_report(data.report)
    return data


def refuse_overwriting(
    paths: Sequence[str], *outputs: Path | None, model: Path | None = None
) -> None:
    """Refuse to write over what is about to be read, into a model, or twice to one file.

    Raises:
        DataError: an output is one of the inputs, lies in the model, or is another output.
    """
    given = [output for output in outputs if output is not None]
    existing = [output for output in given if output.is_file()]
    for piece in _files(paths) if existing else ():
        for output in existing:
            if piece.exists() and output.samefile(piece):
                raise DataError(
                    f"{output}: is what is read, and would be lost; name another file to write",
                    code="output",
                )
    for number, output in enumerate(given):
        if model is not None and _lies_in(output, present(model)):
            reason = f"lies in {model}, which is a model's alone"
        elif output.resolve() in [other.resolve() for other in given[:number]]:
            reason = "is to be written twice"
        else:
            continue
        raise DataError(f"{output}: {reason}; name another file to write", code="output")


def refuse_replacing(out: Path, paths: Sequence[str], *others: Path | None) -> None:
    """Refuse to replace a directory with what is needed in it, or with traces to be kept.

    Raises:
        DataError: events or another path lie in ``out``, or where its training keeps its state.
    """
    folders = (out, unfinished_at(out))
    for piece in (*_files(paths), *others):
        for folder in folders:
            if piece is not None and _lies_in(piece, folder):
                raise DataError(
                    f"{piece}: lies in {folder}, which is replaced, and would be lost; keep it "
                    "elsewhere or name another place to write",
                    code="output",
                )


def _files(paths: Sequence[str]) -> Iterator[Path]:
    """The files that are read, a data set's among them; what is no file is passed over."""
    for path in paths:
        if is_dataset(path):
            yield from present(path).iterdir()
        else:
            yield from (Path(piece) for piece in pieces_of(path) if isinstance(piece, str | Path))


def _lies_in(path: Path, folder: Path) -> bool:
    """Whether it, or the link that it is, is inside of the folder."""
    home = folder.resolve()
    places = (path.resolve(), path.parent.resolve() / path.name)
    return any(home in place.parents for place in places)


def print_report(report: EventReport) -> None:
    """Say what was read."""
    for line in report.lines():
        screen(stderr=True).print(line, soft_wrap=True)
