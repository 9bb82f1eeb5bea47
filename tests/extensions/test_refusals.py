"""What is said of extensions that aren't there, that break, and that aren't what they say."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from clusterseq.bench.models import chosen, peer_named
from clusterseq.cli import main
from clusterseq.commands.shared.checkup import examine
from clusterseq.config import ModelConfig
from clusterseq.errors import ConfigError, DataError
from clusterseq.extensions import extension
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.parts import encoder_of
from clusterseq.presets import PRESETS
from clusterseq.reading.events import read_events
from clusterseq.service.store import Retention, is_shared, open_store

MODULE = """
import torch
number = 7
def store(url, retention): return object()
store.shared = True
def read(source): return 7
def gone(source): raise FileNotFoundError(source)
def module(*_): return torch.nn.Identity()
def nothing(*_): return 7
def picky(): return torch.nn.Identity()
"""


def declare(folder: Path, package: str, group: str, *entries: str) -> None:
    """A package as it lies where it is installed."""
    about = folder / f"{package}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = "\n".join([f"[clusterseq.{group}]", *entries])
    (about / "entry_points.txt").write_text(lines + "\n")
    (folder / "foreign.py").write_text(MODULE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "foreign", raising=False)
    return tmp_path


def test_a_package_that_can_not_be_imported_is_named(folder: Path) -> None:
    declare(folder, "broken", "encoders", "bad = nowhere:Encoder", "worse = foreign:missing")
    said = [one.told for one in examine() if one.what == "extension" and one.state == "wrong"]
    assert len([one for one in said if "of broken 1.0: can't be loaded" in one]) == 2
    for name, why in (("bad", "ModuleNotFoundError"), ("worse", "AttributeError")):
        with pytest.raises(ConfigError, match=f'encoder "{name}" of broken 1.0: can\'t.*{why}'):
            encoder_of(ModelConfig(encoder=name), torch.Generator())


def test_two_packages_of_one_name_are_refused(folder: Path) -> None:
    declare(folder, "one", "stores", "mine = foreign:store")
    declare(folder, "two", "stores", "mine = foreign:store")
    with pytest.raises(ConfigError, match=r"of one 1.0 is also in two 1.0; uninstall one"):
        extension("stores", "mine")


def test_what_is_no_part_is_refused(folder: Path) -> None:
    declare(folder, "parts", "encoders", "a = foreign:nothing", "b = foreign:picky")
    with pytest.raises(ConfigError, match="builds int, which is no Encoder"):
        encoder_of(ModelConfig(encoder="a"), torch.Generator())
    with pytest.raises(ConfigError, match=r"can't be built.*takes 0 positional"):
        encoder_of(ModelConfig(encoder="b"), torch.Generator())


def test_a_clusterer_needs_more_than_to_be_called(folder: Path) -> None:
    declare(folder, "parts", "clusterers", "c = foreign:cluster")
    (folder / "foreign.py").write_text("import torch\ncluster = lambda *a, **b: torch.nn.ReLU()")
    with pytest.raises(ConfigError, match="builds ReLU, which is no Clusterer"):
        ClusterSeq(ModelConfig(clusterer="c"))


def test_what_is_no_peer_is_refused(folder: Path) -> None:
    declare(folder, "peers", "baselines", "seven = foreign:number")
    for words in ("seven", "all"):
        with pytest.raises(ConfigError, match=r"of peers 1.0: is of type int, not Peer"):
            chosen([words], PRESETS)
    assert list(chosen(["popularity"], PRESETS)) == ["popularity"], "nobody has named the other"


def test_a_broken_peer_is_left_out_of_the_list(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    declare(folder, "peers", "baselines", "seven = nowhere:peer")
    with pytest.raises(SystemExit) as ended:
        sys.exit(main(["bench", "--list"]))
    assert ended.value.code == 0
    said = capsys.readouterr()
    assert "of peers 1.0: can't be loaded" in said.err
    assert "item-knn" in said.out


def test_what_is_no_store_is_refused(folder: Path) -> None:
    declare(folder, "stores", "stores", "odd = foreign:store")
    assert is_shared("odd://anywhere")
    with pytest.raises(ConfigError, match="opens object, which is no history store"):
        open_store("odd://anywhere", Retention())


def test_what_reads_no_frame_is_refused(folder: Path) -> None:
    declare(folder, "readers", "readers", "odd = foreign:read")
    with pytest.raises(ConfigError, match=r'reader "odd" of readers 1.0: gives int'):
        read_events("odd://anywhere")


def test_no_password_of_an_address_is_told(folder: Path) -> None:
    declare(folder, "readers", "readers", "queue = foreign:gone")
    with pytest.raises(DataError, match=r"^queue://host/clicks: no such file") as caught:
        read_events("queue://ann:hunter2@host/clicks")
    assert "hunter2" not in str(caught.value)


def test_our_own_names_can_not_be_taken(folder: Path) -> None:
    declare(folder, "thief", "encoders", "gru = foreign:nothing")
    declare(folder, "thief2", "baselines", "popularity = foreign:number")
    declare(folder, "thief3", "readers", "csv = foreign:read", "s3 = foreign:read")
    encoder_of(ModelConfig(dim=8), torch.Generator())
    assert "popularity" in chosen(["popularity"], PRESETS)
    (folder / "events.csv").write_text("user,item\na,b\n")
    assert len(read_events(folder / "events.csv")) == 1


def test_what_nobody_brings_is_unknown() -> None:
    with pytest.raises(ConfigError, match=r'"grv" is unknown here; did you mean "gru"\?'):
        encoder_of(ModelConfig(encoder="grv"), torch.Generator())
    with pytest.raises(ConfigError, match="install the package that brings it"):
        peer_named("of-nobody", None)
    with pytest.raises(DataError, match="no such file"):
        read_events("nowhere://anything")
    with pytest.raises(ConfigError, match='"nowhere:" names no history store'):
        open_store("nowhere://anything", Retention())
    assert not is_shared("nowhere://anything")
