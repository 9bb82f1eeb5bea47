"""An update keeps what was learnt, learns what is new, and says what that is worth."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from clusterseq.cli import main
from clusterseq.config import Config, Runtime
from clusterseq.data.dataset import Dataset
from clusterseq.data.histories import Histories
from clusterseq.data.ledger import Ledger
from clusterseq.data.memory import Memory
from clusterseq.data.sequences import Sequences
from clusterseq.errors import DataError
from clusterseq.learning.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from clusterseq.machine.unfinished import exclusive_lock, unfinished_at
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.growth import grown
from clusterseq.model.lifts import Lifts
from clusterseq.model.ranker import Ranker
from clusterseq.reading.events import Events, read_events
from clusterseq.using.comparison import BEFORE, CLUSTERSEQ
from clusterseq.using.evaluation import evaluate_checkpoint, split_events
from clusterseq.using.experiment import Experiment
from clusterseq.using.former import Former
from clusterseq.using.recommender import Recommender
from clusterseq.using.update import update_checkpoint
from clusterseq.values import from_dict

LATER = 2 * 10**9
UNTIMED = {
    "data": {"split": "none"},
    "model": {"dim": 8, "members": 1},
    "train": {"pretrain_epochs": 1, "meta_epochs": 0},
}


@pytest.fixture(scope="module")
def later() -> Events:
    """200 people with new items "a0" … "a9", each of which follows an old one, and old items."""
    draws = np.random.default_rng(7)
    rows = []
    for person in range(200):
        start = LATER + int(draws.integers(0, 10**6))
        for step in range(draws.integers(2, 5)):
            number = int(draws.integers(0, 10))
            rows.append((f"v{person:03}", f"i{number:02}", start + 60 * step))
            rows.append((f"v{person:03}", f"a{number}", start + 60 * step + 30))
    return read_events(pl.DataFrame(rows, schema=["user", "item", "time"], orient="row"))


def test_new_items_are_learnt_and_old_ones_kept(checkpoint: Checkpoint, later: Events) -> None:
    found = update_checkpoint(checkpoint, later, epochs=3)
    assert found.new_items == 10
    newer, former = found.checkpoint, checkpoint.items.ids
    assert newer.items.ids == sorted([*former, *(f"a{number}" for number in range(10))])
    assert newer.titles is not None
    assert checkpoint.titles is not None
    assert newer.titles == [None] * 10 + list(checkpoint.titles)
    assert found.comparison is not None
    before, after = (found.comparison.figures[name]["full"]["mrr"] for name in (BEFORE, CLUSTERSEQ))
    assert after > 2 * before
    recommender = Recommender(newer)
    best = [recommender.recommend([f"i{n:02}"], 1).ids[0] for n in range(10)]
    assert sum(item == f"a{number}" for number, item in enumerate(best)) >= 8
    # Nobody touched the other kind's items any more, and who comes with one is still understood.
    again = recommender.recommend(["i40", "i41"], 5).ids
    assert all(str(item) >= "i30" for item in again)


def test_what_is_counted_is_as_if_all_had_been_there(
    checkpoint: Checkpoint, events_frame: pl.DataFrame, later: Events
) -> None:
    newer = update_checkpoint(checkpoint, later, epochs=0).checkpoint
    parts = [
        split_events(events, checkpoint.config.data, 0)
        for events in (read_events(events_frame), later)
    ]
    rows = [
        newer.items.encode(part.items.decode(row)).tolist() for part in parts for row in part.known
    ]
    everybody = Sequences.from_rows(rows)
    expected, ledger = Memory.build(everybody, 70), Ledger.of(everybody, 70)
    assert newer.model.memory is not None
    assert newer.ledger is not None
    for name, tensor in newer.model.memory.tensors().items():
        torch.testing.assert_close(tensor, expected.tensors()[name])
    assert newer.item_counts.tolist() == newer.ledger.counts.tolist() == ledger.counts.tolist()
    assert newer.ledger.people.tolist() == ledger.people.tolist()
    assert newer.provenance.events == len(everybody.items)
    torch.testing.assert_close(newer.model.cluster_sizes.sum(), torch.tensor(1.0))
    popularity = newer.model.cluster_sizes @ newer.model.cluster_popularity
    torch.testing.assert_close(
        popularity.double(),
        torch.from_numpy(ledger.counts / ledger.counts.sum()),
        atol=1e-5,
        rtol=0,
    )


def test_what_clusters_say_is_of_all_events_and_of_new_items_too(
    events_frame: pl.DataFrame, later: Events, tmp_path: Path
) -> None:
    config = from_dict(Config, UNTIMED)
    Experiment(read_events(events_frame), tmp_path / "model", config).run()
    checkpoint = load_checkpoint(tmp_path / "model")
    newer = update_checkpoint(checkpoint, later, epochs=0).checkpoint
    lifts, model = newer.model.lifts, newer.model
    assert lifts is not None
    expected = Lifts(*lifts.table.shape)
    expected.measure(model.cluster_popularity, model.cluster_sizes, newer.provenance.events)
    torch.testing.assert_close(lifts.table, expected.table)
    new = newer.items.encode([f"a{number}" for number in range(10)])
    assert lifts.table[torch.from_numpy(new).long()].any()
    save_checkpoint(tmp_path / "newer", newer)
    again = load_checkpoint(tmp_path / "newer").model.lifts
    assert again is not None
    assert torch.equal(again.table, lifts.table)


def test_where_clusters_were_silenced_they_stay_silent(
    checkpoint: Checkpoint, later: Events
) -> None:
    model = copy.deepcopy(checkpoint.model)
    assert model.lifts is not None
    model.lifts.silence()
    silent = dataclasses.replace(checkpoint, model=model)
    lifts = update_checkpoint(silent, later, epochs=1).checkpoint.model.lifts
    assert lifts is not None
    assert len(lifts.table) == 70
    assert not lifts.measured
    assert lifts.affinity.item() == 0


def test_who_judges_is_remembered_only_afterwards(checkpoint: Checkpoint) -> None:
    """People without any pattern: a memory that held them would seem to know what comes next."""
    draws = np.random.default_rng(3)
    rows = [
        (f"p{person:03}", f"r{item:03}", LATER + step)
        for person in range(200)
        for step, item in enumerate(draws.integers(0, 300, 4))
    ]
    events = read_events(pl.DataFrame(rows, schema=["user", "item", "time"], orient="row"))
    config = from_dict(Config, {"data": {"split": "none"}}, base=checkpoint.config)
    alone = dataclasses.replace(checkpoint, config=config)
    newer = update_checkpoint(alone, events, epochs=1).checkpoint
    assert float(newer.model.theta["trust"].detach().max()) < 1
    assert newer.ledger is not None
    assert newer.ledger.counts.sum() == checkpoint.item_counts.sum() + len(rows)


def test_new_people_keep_items_that_the_model_knew(checkpoint: Checkpoint) -> None:
    """Nobody known touches i05 … in the batch, and new people do."""
    rows = [(f"k{n:02}", item, LATER + n) for n in range(40) for item in ("i00", "i01")]
    rows += [(f"n{n}", item, LATER + 99) for n in range(9) for item in ("i05", "i06", "i07", "z")]
    events = read_events(pl.DataFrame(rows, schema=["user", "item", "time"], orient="row"))
    found = update_checkpoint(checkpoint, events, epochs=0, k=2)
    assert found.comparison is not None
    assert found.new_items == 0
    assert found.comparison.coverage > 0.7  # without the model's catalogue, next to nothing
    assert found.comparison.figures[CLUSTERSEQ]["users"] >= 5


def test_updated_twice_and_saved_between(
    checkpoint: Checkpoint, later: Events, events_frame: pl.DataFrame, tmp_path: Path
) -> None:
    once = update_checkpoint(checkpoint, later, epochs=1).checkpoint
    save_checkpoint(tmp_path / "model", once)
    loaded = load_checkpoint(tmp_path / "model")
    assert loaded.ledger is not None
    assert once.ledger is not None
    np.testing.assert_array_equal(loaded.ledger.recent, once.ledger.recent)
    assert (loaded.ledger.newest, loaded.ledger.span) == (once.ledger.newest, once.ledger.span)
    frame = later.frame.with_columns(pl.col("time") + 1, user="w" + pl.col("user"))
    twice = update_checkpoint(loaded, read_events(frame), epochs=0).checkpoint
    assert twice.items == once.items
    assert twice.item_counts.sum() > once.item_counts.sum()
    assert len(twice.provenance.updated_by) == 2
    for again in (later, read_events(frame), read_events(events_frame)):
        with pytest.raises(DataError, match="has these events already"):
            update_checkpoint(twice, again, runtime=Runtime(seed=9))


def test_an_updated_model_is_not_judged_on_any_file_as_if_it_were_its_own(
    checkpoint: Checkpoint, later: Events
) -> None:
    newer = update_checkpoint(checkpoint, later, epochs=0).checkpoint
    with pytest.raises(DataError, match="was updated since its training, so no file"):
        evaluate_checkpoint(newer, later)


def test_filters_are_for_new_items_alone(checkpoint: Checkpoint) -> None:
    rows = [(f"u{n}", item, LATER + n) for n in range(9) for item in ("often", "i01")]
    rows += [("u0", "i39", LATER + 50), ("u1", "once", LATER + 51)]
    events = read_events(pl.DataFrame(rows, schema=["user", "item", "time"], orient="row"))
    changes = {"data": {"split": "none", "min_item_events": 3, "k_core": 2, "min_user_events": 3}}
    strict = dataclasses.replace(
        checkpoint, config=from_dict(Config, changes, base=checkpoint.config)
    )
    newer = update_checkpoint(strict, events, epochs=0).checkpoint
    before, after = (
        {item: int(one.item_counts[one.items.encode([item])[0]]) for item in ("i39", "i01")}
        for one in (checkpoint, newer)
    )
    assert after == {"i39": before["i39"] + 1, "i01": before["i01"] + 9}
    assert "often" in newer.items
    assert "once" not in newer.items


def test_too_few_people_to_judge_all_teach(checkpoint: Checkpoint) -> None:
    events = read_events(pl.DataFrame({"user": ["u", "u"], "item": ["i01", "i02"]}))
    found = update_checkpoint(checkpoint, events, epochs=1)
    assert found.comparison is None
    assert found.checkpoint.item_counts.sum() == checkpoint.item_counts.sum() + 2


def test_the_former_model_ranks_as_before_in_the_larger_catalogue(checkpoint: Checkpoint) -> None:
    ranker = Ranker(checkpoint.model)
    places = np.arange(60, dtype=np.int32)[::-1] + 5
    former = Former(ranker, places, 70)
    own = ranker.score(Histories.from_lists([[3, 7], []]))
    found = former.score(Histories.from_lists([[62 - 1, 69, 57], [0]]))
    torch.testing.assert_close(found[:, torch.from_numpy(places.astype(np.int64))], own)
    strangers = [*range(5), *range(65, 70)]
    assert (found[:, strangers] < own.min(dim=1, keepdim=True).values).all()


def test_new_items_start_from_those_beside_them(checkpoint: Checkpoint) -> None:
    places = np.arange(60, dtype=np.int32)
    known = Sequences(np.array([3, 60, 60, 61, 62], np.int32), np.arange(5), np.array([0, 2, 4, 5]))
    from clusterseq.data.graph import transitions

    model = grown(checkpoint.model, places, 63, transitions(known, 63), np.ones(63, np.int64))
    table, former = model.items.embedding, checkpoint.model.items.embedding
    torch.testing.assert_close(table[:60], former)
    torch.testing.assert_close(table[60], former[3])
    torch.testing.assert_close(table[61], former[3])  # beside a new item that is beside 3
    torch.testing.assert_close(table[62], former.mean(dim=0))


def test_a_small_catalogue_gets_the_anchors_that_it_lacked(checkpoint: Checkpoint) -> None:
    from scipy import sparse

    config = dataclasses.replace(checkpoint.model.config, n_items=6, anchors=9)
    small = ClusterSeq(config)
    assert small.anchors.tolist() == list(range(6))
    places, nothing = np.arange(0, 12, 2, dtype=np.int32), sparse.csr_array((12, 12))
    model = grown(small, places, 12, nothing, np.ones(12, np.int64))
    anchors = model.anchors.tolist()
    assert len({*anchors}) == 9
    assert anchors == sorted(anchors)
    assert {*places.tolist()} <= {*anchors}


def test_what_an_update_needs_is_asked_for(checkpoint: Checkpoint, later: Events) -> None:
    with pytest.raises(DataError, match="kept too little for an update"):
        update_checkpoint(dataclasses.replace(checkpoint, ledger=None), later)
    numbered = read_events(pl.DataFrame({"user": [1, 1, 2, 2] * 9, "item": [1, 2, 3, 4] * 9}))
    config = from_dict(Config, {"data": {"split": "none"}}, base=checkpoint.config)
    with pytest.raises(DataError, match="item ids are strings and the events' are integers"):
        update_checkpoint(dataclasses.replace(checkpoint, config=config), numbered)


def test_the_command_looks_at_the_place_first(
    model_directory: Path, later: Events, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "letter.txt").write_text("dear")
    later.frame.write_csv(tmp_path / "later.csv")
    words = ["update", str(model_directory), str(tmp_path / "later.csv")]
    assert main([*words, "--out", str(tmp_path / "letters")]) == 2
    told = capsys.readouterr().err
    assert "so it isn't replaced" in told
    assert "epoch" not in told


def test_the_same_people_on_another_day_are_new_events(checkpoint: Checkpoint) -> None:
    def day(number: int) -> Events:
        rows = [
            (
                f"r{person:02}",
                f"i{(person + 7 * number + step) % 30:02}",
                LATER + number * 86_400 + step,
            )
            for person in range(60)
            for step in range(3)
        ]
        return read_events(pl.DataFrame(rows, schema=["user", "item", "time"], orient="row"))

    once = update_checkpoint(checkpoint, day(0), epochs=0).checkpoint
    twice = update_checkpoint(once, day(1), epochs=0).checkpoint
    assert len(set(twice.provenance.updated_by)) == 2
    with pytest.raises(DataError, match="has these events already"):
        update_checkpoint(twice, day(0), epochs=0)


def test_events_of_the_same_people_and_other_items_are_not_those_of_the_training(
    checkpoint: Checkpoint, events_frame: pl.DataFrame
) -> None:
    assert evaluate_checkpoint(checkpoint, read_events(events_frame)).figures
    swapped = events_frame.with_columns(
        item=pl.col("item").replace({"i00": "i01", "i01": "i00", "i02": "i03", "i03": "i02"})
    )
    with pytest.raises(DataError, match="aren't those that the model was trained on"):
        evaluate_checkpoint(checkpoint, read_events(swapped))
    numbers = events_frame.with_columns(item=pl.col("item").str.slice(1).cast(pl.Int64))
    with pytest.raises(DataError, match="item ids are strings and the events' are integers"):
        evaluate_checkpoint(checkpoint, read_events(numbers))


def test_two_updates_at_once_do_not_lose_one(
    model_directory: Path, later: Events, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    later.frame.write_csv(tmp_path / "later.csv")
    words = ["update", str(model_directory), str(tmp_path / "later.csv")]
    with exclusive_lock(unfinished_at(tmp_path / "newer")):
        assert main([*words, "--out", str(tmp_path / "newer")]) == 2
    assert "another training is at work here" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["later.csv"], "no lock is left behind"


def test_the_command_replaces_the_model(
    model_directory: Path, later: Events, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    Dataset.from_events(later).save(data)
    words = ["update", str(model_directory), str(data), "--out", str(tmp_path / "newer")]
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["new_items"] == 10
    (tmp_path / "titles.csv").write_text("item,title\n3,Three\n")
    more = ["--epochs", "1", "--titles", str(tmp_path / "titles.csv")]
    assert main([*words, *more]) == 0  # the place holds a model, so it is replaced
    told = capsys.readouterr()
    assert "before the update" in told.out
    assert "titles.csv: none of its ids is an item's" in told.err
    assert main(["recommend", str(tmp_path / "newer"), "--items", "i03", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["items"]) == 10


def test_events_of_an_update_are_the_newest_where_only_their_order_is_known(
    events_frame: pl.DataFrame, later: Events, tmp_path: Path
) -> None:
    config = from_dict(Config, UNTIMED)
    ordered = events_frame.sort("time").drop("time")
    untimed = read_events(ordered), read_events(later.frame.sort("time").drop("time"))
    Experiment(untimed[0], tmp_path / "model", config).run()
    checkpoint = load_checkpoint(tmp_path / "model")
    newer = update_checkpoint(checkpoint, untimed[1], epochs=1).checkpoint
    assert newer.ledger is not None
    assert checkpoint.ledger is not None
    assert newer.ledger.newest > checkpoint.ledger.newest > 0
    save_checkpoint(tmp_path / "newer", newer)
    assert not load_checkpoint(tmp_path / "newer").provenance.timed
    freshness = newer.ledger.freshness()
    assert (freshness[newer.items.encode([f"a{number}" for number in range(10)])] > 0).all()
    timed = update_checkpoint(checkpoint, later, epochs=0).checkpoint.ledger
    assert timed is not None
    assert timed.freshness() == pytest.approx(freshness, abs=0.01)  # but for ties


def test_events_without_times_are_newer_than_those_before(
    checkpoint: Checkpoint, later: Events
) -> None:
    untimed = read_events(later.frame.drop("time"))
    newer = update_checkpoint(checkpoint, untimed, epochs=0).checkpoint
    assert newer.ledger is not None
    assert checkpoint.ledger is not None
    assert 0 < newer.ledger.newest - checkpoint.ledger.newest < 10**6  # microseconds
    new = newer.items.encode([f"a{number}" for number in range(10)])
    assert (newer.ledger.freshness()[new] > 0).all()
