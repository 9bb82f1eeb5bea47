"""What the pages talk about: files of events, models, and a service, all of them small and real.

The preset ``default`` is a small model while pages are followed: that commands do what pages say
doesn't depend on how wide it is.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from clusterseq import presets
from clusterseq.cli import main
from clusterseq.config import Config
from tests.docs.reader import Reader
from tests.service.serving import serving, settings_of

ITEMS = ["milk", "bread", "tea", "jam", "cream", *(f"thing-{place}" for place in range(20))]
FILM_FANS = 600
"""People whose ratings the small stand-in of the demo's model is trained on."""


def _events(people: range, start: int) -> pl.DataFrame:
    """Eight things of each person, one a minute."""
    generator = np.random.default_rng(start)
    rows = [
        (f"person-{person}", ITEMS[item], start + 60 * (1000 * person + place))
        for person in people
        for place, item in enumerate(generator.permutation(len(ITEMS))[:8])
    ]
    return pl.DataFrame(rows, schema=["user", "item", "time"], orient="row")


@contextmanager
def in_a_second(small: Config) -> Iterator[None]:
    """Let the command line train a small model where nobody asks for another."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(presets, "PRESETS", {**presets.PRESETS, "default": small})
        yield


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory, small: Config) -> Path:
    """A folder with every file that pages name; each page works in a copy of it."""
    folder = tmp_path_factory.mktemp("shop")
    events, week = _events(range(80), 1_700_000_000), _events(range(80, 100), 1_800_000_000)
    newcomers = _events(range(200, 210), 1_800_000_000)
    (folder / "logs").mkdir()
    events.write_csv(folder / "events.csv")
    events.write_parquet(folder / "logs" / "monday.parquet")
    week.write_csv(folder / "this-week.csv")
    for name in ("newcomers", "everybody"):
        newcomers.write_parquet(folder / f"{name}.parquet")
    titles = pl.DataFrame({"item": ITEMS, "title": [item.title() for item in ITEMS]})
    titles.write_csv(folder / "items.csv")
    model = folder / "my-model"
    with in_a_second(small):
        assert main(["train", str(folder / "events.csv"), "--out", str(model)]) == 0
    shutil.copytree(model, folder / "model")
    _train_on_films(folder / "clusterseq-demo", small)
    return folder


def _train_on_films(out: Path, small: Config) -> None:
    """What ``clusterseq demo`` leaves, but of fewer people and in seconds."""
    from dataclasses import replace

    from clusterseq.reading.events import read_events
    from clusterseq.using.demo import experiment

    trial = experiment(out, small)
    frame = trial.events.frame  # type: ignore[union-attr]
    fans = frame["user"].unique(maintain_order=True).head(FILM_FANS)
    replace(trial, events=read_events(frame.filter(pl.col("user").is_in(fans.implode())))).run()


@pytest.fixture(scope="session")
def address(shop: Path) -> Iterator[str]:
    """Where the model of the shop is served."""
    with serving(settings_of(shop / "my-model")) as service:
        yield service.url.removeprefix("http://").rstrip("/")


@pytest.fixture
def reader(
    shop: Path,
    address: str,
    small: Config,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Reader]:
    """Somebody who types in what a page says, in a folder of their own."""
    shutil.copytree(shop, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    with in_a_second(small):
        yield Reader(address, capfd)
