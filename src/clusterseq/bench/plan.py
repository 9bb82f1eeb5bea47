"""What a bench has to compute: every model on every data set under every seed, less what is done.

Knows nothing about: processes, tables, how models are fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from clusterseq.bench.cell import Job
from clusterseq.bench.datasets import BenchData
from clusterseq.bench.models import Model
from clusterseq.bench.results import Cell, Results
from clusterseq.bench.split_arrays import SplitArrays
from clusterseq.checks import LARGEST
from clusterseq.config import DataConfig
from clusterseq.data.dataset import Data
from clusterseq.errors import ConfigError, DataError
from clusterseq.judging.evaluate import people_to_judge
from clusterseq.using.evaluation import split_events


@dataclass(frozen=True, eq=False)
class Plan:
    """All that was asked for."""

    digests: Mapping[BenchData, str]
    """The data sets, each with what identifies its people."""
    models: Mapping[str, Model]
    """The models by name."""
    seeds: Sequence[int]
    """Seeds of splits and trainings."""
    ks: Sequence[int]
    """How many items of a newcomer the models are shown; each in turn."""
    data: DataConfig
    """Options of data, but for the split, which is each data set's own."""
    threads: int = 0
    """Threads of each job; 0 leaves the choice to the library."""
    device: str = "cpu"
    """Where networks are trained and score."""

    def cells(self) -> list[Cell]:
        """Everything, seed after seed, so that a run stopped early still compares all models."""
        return [
            Cell(dataset.name, dataset.split, seed, k, name, digest, model.digest)
            for seed in self.seeds
            for dataset, digest in self.digests.items()
            for name, model in self.models.items()
            for k in self.ks
        ]

    @property
    def trainings(self) -> int:
        """How many models have to be trained if nothing is done yet."""
        return len(self.seeds) * len(self.digests) * len(self.models)

    def jobs(self, results: Results) -> list[Job]:
        """What isn't done yet: a job for each training, with the K that are left."""
        pending: dict[tuple[object, ...], list[Cell]] = {}
        for cell in self.cells():
            if not results.finished(cell):
                key = (cell.seed, cell.dataset, cell.split, cell.model)
                pending.setdefault(key, []).append(cell)
        return [self._job(tuple(cells), results) for cells in pending.values()]

    def write_splits(
        self, jobs: Sequence[Job], results: Results, read: Callable[[BenchData], Data]
    ) -> None:
        """Make the splits that the jobs need, reading a data set's events only if one is missing.

        Raises:
            DataError: events can't be read or split, or nobody has enough of them.
        """
        for dataset, digest in self.digests.items():
            events = None
            cells = [job.first for job in jobs if job.first.data == digest]
            for seed in dict.fromkeys(cell.seed for cell in cells if cell.dataset == dataset.name):
                path = results.split_path(dataset.name, dataset.split, seed, digest)
                if not path.exists():
                    events = events or read(dataset)
                    try:
                        split = split_events(events, dataset.config(self.data), seed)
                    except DataError as error:
                        raise DataError(f"{dataset.path}: {error}", code=error.code) from error
                    SplitArrays.from_split(split).save(path)
                people_to_judge(SplitArrays.load(path).test, max(self.ks))

    def _job(self, cells: tuple[Cell, ...], results: Results) -> Job:
        cell, model = cells[0], self.models[cells[0].model]
        split = results.split_path(cell.dataset, cell.split, cell.seed, cell.data)
        return Job(
            cells,
            model.group,
            str(split),
            str(results.path),
            None if model.config is None else model.config.to_dict(),
            self.threads,
            self.device,
        )


def numbers(text: str, option: str) -> list[int]:
    """Read ``0,1,2``: whole numbers of 0 or more, each once, that a column of the table can hold.

    >>> numbers("0, 2,1,2", "--seeds")
    [0, 2, 1]

    Raises:
        ConfigError: the text is no whole numbers between commas, or one is too large.
    """
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdigit() for word in words):
        raise ConfigError(f"{option} {text!r} can't be used; give whole numbers such as 0,1,2")
    for word in words:
        if len(word.lstrip("0")) > len(str(LARGEST)) or int(word) > LARGEST:
            raise ConfigError(f"{option} {word} is too large; give {LARGEST} at most")
    return list(dict.fromkeys(map(int, words)))
