"""A model in an object storage: pushed to an address there, and pulled from it whole or not at all.

The files are those of its directory, so other programs can copy it, too. What says that they belong
together, the manifest, is written last and believed only once every file is as it says. The network
is used by these two functions only, and by those who are given an address to read from.

Knows nothing about: what the files mean, who serves them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from clusterseq.errors import CheckpointError, DataError
from clusterseq.learning.checkpoint import CARD, FILES, LOG
from clusterseq.machine.directory import current_path, replacing
from clusterseq.machine.extras import require_extra
from clusterseq.machine.files import FULL, make_folder
from clusterseq.machine.manifest import MANIFEST, read_manifest
from clusterseq.machine.progress import Progress
from clusterseq.model.index import ABOUT, FILE
from clusterseq.reading.addresses import advice_on

BESIDE = (LOG, CARD, ABOUT, FILE)
"""What a model may do without."""
UNFINISHED = b"{}"
"""The manifest of a model whose files are still on their way: nobody takes it for whole."""
PIECE = 8 * 2**20
"""Bytes that travel together; a piece that is lost on the way is asked for again."""
PATIENCE = timedelta(seconds=60)
"""How long a storage that doesn't answer is asked again."""


def push_model(directory: str | Path, address: str, *, progress: Progress | None = None) -> int:
    """Copy a model to an address such as ``s3://bucket/models/shop``; returns its bytes.

    A model that lies there is replaced, one file after the other: who pulls meanwhile is told that
    it isn't whole. Give each model an address of its own where that must not happen. Files of these
    names that belong to no model are left as they are.

    Raises:
        CheckpointError: there is no model in the directory, or it is damaged.
        ConfigError: the extra ``storage`` isn't installed.
        DataError: the storage refuses, doesn't answer, is full or isn't known, or something else
            lies there, perhaps under a name that a model's file has.
    """
    source = current_path(directory)
    read_manifest(source, FILES)
    names = [*FILES, *(name for name in BESIDE if (source / name).is_file()), MANIFEST]
    transfer = _Transfer(sum((source / name).stat().st_size for name in names), progress)
    if address.startswith("file://"):  # elsewhere a folder is but a part of a name
        make_folder(Path(url2pathname(urlsplit(address).path)))
    folder = _Folder(address)
    there = folder.sizes().keys() & {*FILES, *BESIDE, MANIFEST}
    if MANIFEST not in there:
        if there:
            raise DataError(
                f"{address}: holds {', '.join(sorted(there))} and no {MANIFEST}, so they aren't a "
                "model's and nothing is written; name another place",
                code="output",
            )
        folder.write(MANIFEST, iter([UNFINISHED]))  # what is broken off here is a model's
    for name in sorted(there & set(BESIDE) - set(names)):
        folder.remove(name)  # an index, for example, of the former model
    for name in names:
        folder.write(name, _pieces(source / name, transfer))
    return transfer.total


def pull_model(address: str, directory: str | Path, *, progress: Progress | None = None) -> int:
    """Copy the model at an address into a directory, in the place of a former one; returns bytes.

    Raises:
        CheckpointError: what lies there isn't a whole model; a former one is kept.
        ConfigError: the extra ``storage`` isn't installed.
        DataError: there is no model, the storage refuses or doesn't answer, or the directory holds
            something else than a model.
    """
    folder = _Folder(address)
    sizes = folder.sizes()
    if MANIFEST not in sizes:
        raise DataError(f"{address}: no {MANIFEST} there, so no model; check the address")
    names = [name for name in (MANIFEST, *FILES, *BESIDE) if name in sizes]
    transfer = _Transfer(sum(sizes[name] for name in names), progress)
    with replacing(directory, marker=MANIFEST) as draft:
        for name in names:
            with (draft / name).open("wb") as file:
                for piece in folder.read(name, sizes[name]):
                    file.write(piece)
                    transfer.moved(len(piece))
        try:
            read_manifest(draft, FILES)
        except CheckpointError as error:
            raise CheckpointError(
                f"{str(error).replace(str(draft), address)}; if it is being pushed just now, pull "
                "it again"
            ) from error
    return transfer.total


class _Folder:
    """What lies at an address, as the library that speaks to storages has it."""

    def __init__(self, address: str) -> None:
        self.address = address
        if "://" not in address:
            raise DataError(
                f'"{address}" is no address; write s3://bucket/folder, gs://…, az://… or '
                "file:///folder"
            )
        with require_extra("storage", address):
            import obstore.exceptions
            import obstore.store
        self._library = obstore
        with self._explained_errors():
            self._store = obstore.store.from_url(
                address,
                client_options={"allow_http": True},  # of an endpoint that the user has named so
                retry_config={"max_retries": 3, "retry_timeout": PATIENCE},
            )

    def sizes(self) -> dict[str, int]:
        """The files and their bytes."""
        with self._explained_errors():
            objects = self._library.list_with_delimiter(self._store)["objects"]
            return {entry["path"]: entry["size"] for entry in objects}

    def read(self, name: str, size: int) -> Iterator[bytes]:
        """A file, piece by piece."""
        for start in range(0, size, PIECE):
            end = min(start + PIECE, size)
            with self._explained_errors():
                piece = self._library.get_range(self._store, name, start=start, end=end)
            yield bytes(piece)

    def write(self, name: str, pieces: Iterator[bytes]) -> None:
        """A file in the place of a former one."""
        with self._explained_errors():
            self._library.put(self._store, name, pieces, chunk_size=PIECE)

    def remove(self, name: str) -> None:
        """A file that is there."""
        with self._explained_errors():
            self._library.delete(self._store, name)

    @contextmanager
    def _explained_errors(self) -> Iterator[None]:
        """Say what to do about whatever went wrong there."""
        try:
            yield
        except (self._library.exceptions.BaseError, FileNotFoundError) as error:
            text = str(error)
            if any(os.strerror(number) in text for number in FULL):
                message = f"{self.address}: nothing more can be written; free some room there"
                raise DataError(message, code="output") from error
            first = text.splitlines()[0][:200]
            advice = advice_on(self.address, error) or f"{first}; check the address"
            raise DataError(f"{self.address}: {advice}") from error


class _Transfer:
    """How many bytes of all have moved."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self.total, self._done, self._progress = total, 0, progress

    def moved(self, size: int) -> None:
        self._done += size
        if self._progress is not None:
            self._progress(self._done, self.total)


def _pieces(path: Path, transfer: _Transfer) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece
            transfer.moved(len(piece))
