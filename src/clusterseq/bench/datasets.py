"""A data set of the bench: where its events are, how its users are split, and what identifies it.

Knows nothing about: what the events hold, models, seeds.
"""

from __future__ import annotations

import dataclasses
import glob
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, get_args

from clusterseq.config import DataConfig
from clusterseq.errors import ConfigError, DataError
from clusterseq.reading.addresses import is_address
from clusterseq.reading.sources import COMPRESSED, files_of

JudgedSplit: TypeAlias = Literal["temporal", "random"]
SPLITS = get_args(JudgedSplit)


@dataclass(frozen=True)
class BenchData:
    """Events and the split of their users."""

    path: str
    """A file, a glob or a folder."""
    split: JudgedSplit
    """Who is new: who came last, or a draw."""

    @classmethod
    def parse(cls, text: str, default: str) -> BenchData:
        r"""Read ``PATH`` or ``PATH:SPLIT``; only a known split after the last colon is one.

        >>> BenchData.parse("beauty.parquet:random", "temporal")
        BenchData(path='beauty.parquet', split='random')
        >>> BenchData.parse(r"C:\beauty.parquet", "temporal").path
        'C:\\beauty.parquet'

        Raises:
            ConfigError: the split is unknown, or the events lie elsewhere.
        """
        if is_address(text):
            raise ConfigError(
                f"{text}: the bench names data sets by their files' bytes, so they have to lie "
                "here; copy it to this machine first"
            )
        path, colon, split = text.rpartition(":")
        if path and split in SPLITS:
            return cls(path, cast(JudgedSplit, split))
        if colon and Path(path).exists() and not Path(text).exists():
            raise ConfigError(f'{path}: split "{split}" is unknown; write {path}:random')
        if default not in SPLITS:
            raise ConfigError(
                f'split "{default}" leaves nobody to judge; use {" or ".join(SPLITS)}'
            )
        return cls(text, cast(JudgedSplit, default))

    @property
    def name(self) -> str:
        """As the tables call it: the file's or folder's name without its endings.

        >>> paths = "data/beauty_5core.csv.gz", "logs/*.csv"
        >>> tuple(BenchData(path, "random").name for path in paths)
        ('beauty_5core', 'logs')
        """
        parts = [part for part in Path(self.path).parts if not glob.has_magic(part)]
        last = Path(parts[-1] if parts else "events")
        if last.suffix.lower() in COMPRESSED:
            last = last.with_suffix("")
        return last.stem or "events"

    def digest(self, config: DataConfig, reading: Mapping[str, Any]) -> str:
        """What identifies the people judged: the files' bytes, and how they are read and split.

        Raises:
            DataError: a file can't be read.
        """
        split = dataclasses.asdict(self.config(config))
        digest = hashlib.sha256(json.dumps([split, dict(reading)], sort_keys=True).encode())
        for file in files_of(self.path):
            try:
                with file.open("rb") as content:
                    digest.update(hashlib.file_digest(content, "sha256").digest())
            except FileNotFoundError as error:
                raise DataError(f"{file}: no such file; check the path") from error
            except OSError as error:
                raise DataError(f"{file}: {error.strerror}; check the path") from error
        return digest.hexdigest()

    def config(self, config: DataConfig) -> DataConfig:
        """The options of data with this data set's own split."""
        return dataclasses.replace(config, split=self.split)


def parse_all(texts: list[str], default: str) -> list[BenchData]:
    """Read the data sets of a command line.

    Raises:
        ConfigError: a split is unknown, or two data sets would be called the same.
    """
    sets = [BenchData.parse(text, default) for text in texts]
    names = [(dataset.name, dataset.split) for dataset in sets]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ConfigError(
                f'two data sets are called "{name[0]}"; rename one, since tables go by that name'
            )
    return sets
