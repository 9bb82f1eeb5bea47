"""The model over HTTP: its card, its map, the catalogue, and changing it under load."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from clusterseq.config import Config
from clusterseq.errors import CheckpointError
from clusterseq.learning.checkpoint import load_checkpoint, save_checkpoint
from clusterseq.machine.manifest import MANIFEST
from clusterseq.reading.events import read_events
from clusterseq.reading.vocab import Vocabulary
from clusterseq.service.batcher import Batcher
from clusterseq.service.engine import Engine, Person
from clusterseq.service.item_search import ItemSearch
from clusterseq.service.limits import Limits
from clusterseq.service.ranking import Ranking
from clusterseq.service.ranking_service import Job, RankingService, Served
from clusterseq.using.experiment import Experiment
from tests.service.serving import Service, serving, settings_of


@pytest.fixture(scope="module")
def service(model_directory: Path) -> Iterator[Service]:
    with serving(settings_of(model_directory)) as running:
        yield running


@pytest.fixture
def directory(model_directory: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    copy = tmp_path / "model"
    shutil.copytree(model_directory, copy)
    return copy


def test_the_card_tells_of_model_and_clusters(service: Service) -> None:
    card = service.client.get("/v1/model").json()
    assert card["items"] == 60
    assert card["inner_steps"] == service.context.engine.inner_steps > 0
    assert sum(cluster["size"] for cluster in card["clusters"]) == pytest.approx(1, abs=1e-3)
    for cluster in card["clusters"]:
        assert all(-1 <= x <= 1 for x in cluster["position"])
        assert cluster["typical"][0]["title"].startswith("[item] i")


def test_the_map_places_items_and_people_together(service: Service) -> None:
    points = service.client.get("/v1/model/map").json()["points"]
    assert len(points) == 60
    assert {cluster for _, _, cluster in points} <= {0, 1, 2}
    position = service.recommend(history=["i01", "i02"])["position"]
    assert isinstance(position, list)
    assert len(position) == 2
    assert all(-1 <= x <= 1 for x in position)


@pytest.mark.parametrize(
    ("query", "found"), [("i07", ["i07"]), ("[ITEM] i5", None), ("zzz", []), ("07 item", ["i07"])]
)
def test_items_are_found_by_words_of_id_or_title(
    service: Service, query: str, found: list[str] | None
) -> None:
    answer = service.client.get("/v1/items", params={"query": query, "limit": 100}).json()
    names = [each["item"] for each in answer["items"]]
    assert sorted(names) == (found if found is not None else [f"i5{d}" for d in range(10)])
    assert answer["total"] == len(names)


def test_without_words_the_popular_come_first(service: Service) -> None:
    answer = service.client.get("/v1/items", params={"limit": 12}).json()
    counts = [each["count"] for each in answer["items"]]
    assert len(counts) == 12
    assert counts == sorted(counts, reverse=True)
    assert answer["total"] == 60


def test_similar_items_are_those_of_the_highest_cosine(service: Service) -> None:
    engine = service.context.engine
    table = torch.nn.functional.normalize(engine.ranker.catalogue.table, dim=1)
    for item in (0, 7):
        cosines = (table @ table[item]).index_fill(0, torch.tensor([item]), -torch.inf)
        best = cosines.topk(5)
        found = engine.similar(item, 5)
        assert [each["item"] for each in found] == [engine.ids[int(i)] for i in best.indices]
        assert [each["similarity"] for each in found] == pytest.approx(
            best.values.tolist(), abs=2e-6
        )


def test_similar_items_are_near_and_not_the_item_itself(service: Service) -> None:
    found = service.client.get("/v1/items/i01/similar", params={"k": 5}).json()["items"]
    nearness = [each["similarity"] for each in found]
    assert len(found) == 5
    assert nearness == sorted(nearness, reverse=True)
    assert "i01" not in [each["item"] for each in found]
    unknown = service.client.get("/v1/items/nobody/similar")
    assert unknown.status_code == 404
    assert unknown.json()["title"] == "Item unknown"


@pytest.fixture(scope="module")
def other_model(events_file: Path, small: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("models") / "other"
    Experiment(read_events(events_file), directory, small).run()
    return directory


def test_a_new_model_is_taken_without_losing_a_request(directory: Path, other_model: Path) -> None:
    with serving(settings_of(directory)) as service:
        before = service.recommend(history=["i01", "i02"])
        outcomes: list[int] = []
        stop = threading.Event()

        def ask() -> None:
            at = 0
            while not stop.is_set():
                at += 1
                body = {"history": [f"i{at % 60:02}", f"i{at // 60 % 60:02}"]}
                outcomes.append(service.client.post("/v1/recommend", json=body).status_code)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        shutil.rmtree(directory)
        shutil.copytree(other_model, directory)
        reloaded = service.client.post("/v1/model:reload")
        seen = len(outcomes)
        while len(outcomes) < seen + 20:
            pass
        stop.set()
        for thread in threads:
            thread.join()
        after = service.recommend(history=["i01", "i02"])
    assert reloaded.status_code == 200
    assert set(outcomes) == {200}
    assert after["model_version"] == reloaded.json()["version"] != before["model_version"]
    assert not after["cached"]
    assert before["items"][0]["title"] is not None  # type: ignore[index]
    assert after["items"][0]["title"] is None  # type: ignore[index]


def test_a_model_whose_scores_are_not_finite_is_refused(
    model_directory: Path, tmp_path: Path
) -> None:
    checkpoint = load_checkpoint(model_directory)
    with torch.no_grad():
        checkpoint.model.theta["sharpness"].fill_(1e4)  # each weight is a number, e^10000 is none
    save_checkpoint(tmp_path / "sharp", checkpoint)
    with pytest.raises(CheckpointError, match="its scores aren't finite; take the model before"):
        Engine.load(tmp_path / "sharp", 4)


def test_who_came_before_a_new_model_is_served_by_the_old_one(
    model_directory: Path, other_model: Path
) -> None:
    old, new = Engine.load(model_directory, 1), Engine.load(other_model, 1)
    person = Person(old.codes(["i01", "i02"])[0])

    async def ask() -> list[Served]:
        desk = RankingService(old, Limits())
        desk.batcher.start()
        desk.use(new)
        found = [(await desk.ask(engine, [person]))[0] for engine in (old, new, old)]
        await desk.batcher.stop()
        return found

    first, second, again = asyncio.run(ask())
    assert np.array_equal(first.ranking.items, old.rank([person])[0].items)
    assert np.array_equal(second.ranking.items, new.rank([person])[0].items)
    assert np.array_equal(again.ranking.items, first.ranking.items)
    assert not again.cached, "what the old one says is not remembered any more"


def test_who_waits_for_another_ones_ranking_gets_it_though_that_one_has_left(
    model_directory: Path,
) -> None:
    engine, begun, gate = Engine.load(model_directory, 1), threading.Event(), threading.Event()
    people = [Person(engine.codes([item])[0]) for item in ("i01", "i02", "i03")]
    ranked: list[Person] = []

    def rank(jobs: Sequence[Job]) -> list[Ranking]:
        begun.set()
        assert gate.wait(30)
        ranked.extend(job.person for job in jobs)
        return engine.rank([job.person for job in jobs])

    async def ask() -> list[Served]:
        desk = RankingService(engine, Limits(deadline_ms=60_000.0))
        desk.batcher = Batcher(rank, at_once=1, gather_ms=1.0, waiting=9)
        desk.batcher.start()
        first = asyncio.create_task(desk.ask(engine, people[:1]))
        assert await asyncio.to_thread(begun.wait, 30)
        left, alone, stays = (
            asyncio.create_task(desk.ask(engine, [people[place]])) for place in (1, 2, 1)
        )
        await asyncio.sleep(0)  # all of them are in line
        left.cancel()
        alone.cancel()
        await asyncio.gather(left, alone, return_exceptions=True)
        gate.set()
        served = [*await first, *await stays]
        await desk.batcher.stop()
        return served

    assert not any(served.fallback for served in asyncio.run(ask()))
    assert ranked == people[:2], "nobody waited for the third any more"


def test_a_broken_model_is_refused_and_the_old_one_goes_on(directory: Path) -> None:
    with serving(settings_of(directory)) as service:
        before = service.recommend(history=["i01", "i02"])
        (directory / "model.safetensors").write_bytes(b"nothing")
        refused = service.client.post("/v1/model:reload")
        after = service.recommend(history=["i01", "i02"])
        (directory / MANIFEST).unlink()
        gone = service.client.post("/v1/model:reload")
    for answer in (refused, gone):
        assert answer.status_code == 409
        assert "the model in use goes on" in answer.json()["detail"]
        assert str(directory.parent) not in answer.text
    assert after["items"] == before["items"]


def test_a_model_that_goes_and_comes_while_it_is_read(directory: Path, other_model: Path) -> None:
    """Its files are taken away and written one by one, as no save does, but a copy."""
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            shutil.rmtree(directory)
            shutil.copytree(other_model, directory)

    with serving(settings_of(directory)) as service:
        writer = threading.Thread(target=write)
        writer.start()
        try:
            statuses = [service.client.post("/v1/model:reload").status_code for _ in range(40)]
            assert service.recommend(history=["i01"])["items"]
        finally:
            stop.set()
            writer.join()
        assert service.client.post("/v1/model:reload").status_code == 200
    assert set(statuses) <= {200, 409}
    assert 409 in statuses


def test_the_page_and_its_parts_are_served(service: Service) -> None:
    page = service.client.get("/")
    assert page.status_code == 200
    assert "<title>" in page.text
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert service.client.get("/style.css").headers["Content-Type"].startswith("text/css")


@pytest.mark.parametrize("address", ["/", "/healthz", "/readyz", "/metrics", "/v1/model"])
def test_the_head_of_an_answer_can_be_asked_for_alone(service: Service, address: str) -> None:
    whole, head = service.client.get(address), service.client.head(address)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Type"] == whole.headers["Content-Type"]
    numbers = service.client.get("/metrics").text
    assert f'clusterseq_requests_total{{route="{address}",status="200"}}' in numbers


def test_health_and_numbers(service: Service) -> None:
    service.recommend(history=["i20", "unknown"])
    assert service.client.get("/healthz").json()["status"] == "alive"
    assert service.client.get("/readyz").json()["status"] == "ready"
    text = service.client.get("/metrics").text
    for line in (
        'clusterseq_requests_total{route="/v1/recommend",status="200"}',
        'clusterseq_phase_seconds_count{phase="adapt"}',
        'clusterseq_people_total{source="model"}',
        'clusterseq_history_items_total{known="no"}',
        "clusterseq_queue_depth 0.0",
        "clusterseq_catalogue_coverage 0.",
    ):
        assert line in text, line


def test_an_item_that_is_meant_by_its_id_comes_first() -> None:
    items = Vocabulary.from_ids([7, 12, 112, 120])
    directory = ItemSearch(items, ["a 12", "b", "c", "d"], np.array([9, 1, 8, 5]))
    found, total = directory.search(" 12 ", 3)
    assert ([one["item"] for one in found], total) == ([12, 7, 112], 4)
    assert [one["item"] for one in directory.search("12", 1)[0]] == [12]
    assert [one["item"] for one in directory.search("", 4)[0]] == [7, 112, 120, 12]
