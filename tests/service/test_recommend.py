"""Recommendations over HTTP, against those of the recommender itself."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from clusterseq.service import engine as engine_module
from clusterseq.service.answers import recommend
from clusterseq.service.context import Context
from clusterseq.service.engine import Engine
from clusterseq.service.limits import Limits
from clusterseq.service.messages import RecommendRequest
from clusterseq.service.server import build
from clusterseq.using.recommender import Recommender
from tests.service.serving import Service, serving, settings_of

HISTORIES = [["i01", "i02"], ["i31"], ["i05", "i07", "i05"], [], ["i40", "i41", "i42", "i43"]]


@pytest.fixture(scope="module")
def service(model_directory: Path) -> Iterator[Service]:
    with serving(settings_of(model_directory)) as running:
        yield running


@pytest.fixture(scope="module")
def recommender(model_directory: Path) -> Recommender:
    return Recommender.load(model_directory)


def ids(answer: dict[str, object]) -> list[object]:
    items = answer["items"]
    assert isinstance(items, list)
    return [each["item"] for each in items]


@pytest.mark.parametrize("history", HISTORIES)
def test_an_answer_is_what_the_recommender_says(
    service: Service, recommender: Recommender, history: list[str]
) -> None:
    answer, expected = service.recommend(history=history, k=7), recommender.recommend(history, 7)
    assert ids(answer) == expected.ids
    scores = [each["score"] for each in answer["items"]]  # type: ignore[attr-defined]
    assert scores == pytest.approx([one.score for one in expected], abs=1e-4)
    assert answer["cluster"] == expected.cluster
    assert sum(answer["clusters"]) == pytest.approx(1, abs=1e-4)  # type: ignore[call-overload]
    assert answer["items"][0]["title"] == f"[item] {ids(answer)[0]}"  # type: ignore[index]
    assert not answer["fallback"]
    assert answer["model_version"] == service.context.engine.version


@pytest.mark.parametrize(
    "filters",
    [
        {"exclude": ["i01", "i08", "nobody knows"]},
        {"only": ["i03", "i33", "i50"]},
        {"only": []},
        {"only": ["i03", "i33"], "exclude": ["i03"]},
        {"filter_seen": False},
        {"filter_seen": False, "exclude": ["i02"]},
    ],
)
def test_filters_are_those_of_the_recommender(
    service: Service, recommender: Recommender, filters: dict[str, object]
) -> None:
    answer = service.recommend(history=["i01", "i02"], k=5, **filters)
    expected = recommender.recommend(["i01", "i02"], 5, **filters)  # type: ignore[call-overload]
    assert ids(answer) == expected.ids


def test_what_a_ranking_does_not_reach_is_ranked_anew(
    model_directory: Path, recommender: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "DEPTH", 6)
    best = recommender.recommend(["i01", "i02"], 10)
    with serving(settings_of(model_directory)) as service:
        answer = service.recommend(history=["i01", "i02"], k=4, exclude=best.ids[:5])
    assert ids(answer) == best.ids[5:9]


def test_unknown_items_are_ignored_and_told_once(service: Service) -> None:
    answer = service.recommend(history=["i01", "x", 12, "x", "i02"])
    assert answer["ignored_items"] == ["x", 12]
    assert ids(answer) == ids(service.recommend(history=["i01", "i02"]))


def test_each_touch_counts_as_known_or_unknown(service: Service) -> None:
    def counted() -> list[float]:
        text = service.client.get("/metrics").text
        told = dict(re.findall(r'clusterseq_history_items_total\{known="(\w+)"\} (\S+)', text))
        return [float(told.get(known, 0)) for known in ("yes", "no")]

    before = counted()
    service.recommend(history=["i01", "i01", "x", "x", 12])
    assert counted() == [before[0] + 2, before[1] + 3]


def test_equal_people_of_a_batch_take_one_turn(model_directory: Path) -> None:
    limits = Limits(waiting=2)
    with serving(settings_of(model_directory, limits=limits)) as service:
        body = {"histories": [["i01"], ["i02"]] * 20}
        found = service.client.post("/v1/recommend:batch", json=body)
        assert found.status_code == 200
        answers = [ids(one) for one in found.json()["results"]]
    assert answers == answers[:2] * 20


def test_reasons_that_take_too_long_are_left_out(model_directory: Path) -> None:
    with serving(settings_of(model_directory, limits=Limits(deadline_ms=100.0))) as service:
        engine = service.context.engine

        def slow(*arguments: Any) -> list[dict[str, Any]]:
            time.sleep(0.3)
            return Engine.whys(engine, *arguments)

        service.recommend(history=["i01"])
        object.__setattr__(engine, "whys", slow)
        answer = service.recommend(history=["i01"], explain=True)
        assert answer["items"][0].get("why") is None  # type: ignore[index]
        assert len(ids(answer)) == 10


def test_a_repeated_request_is_remembered(service: Service) -> None:
    first = service.recommend(history=["i09", "i08", "i10"])
    again = service.recommend(history=["i09", "i08", "i10"], k=3)
    assert (first["cached"], again["cached"]) == (False, True)
    assert ids(again) == ids(first)[:3]
    assert first["recommendation_id"] != again["recommendation_id"]


def test_fewer_steps_of_adaptation_are_another_ranking(service: Service) -> None:
    history = ["i11", "i04", "i02"]
    before, after = (service.recommend(history=history, steps=steps) for steps in (0, None))
    more = service.recommend(history=history, steps=99)
    assert before["items"] != after["items"]
    assert more["items"] == after["items"]


@pytest.mark.parametrize("steps", [None, 0, 1])
def test_reasons_add_up_and_name_the_history(service: Service, steps: int | None) -> None:
    answer = service.recommend(history=["i01", "i33"], k=20, steps=steps, explain=True)
    items: list[dict[str, Any]] = answer["items"]  # type: ignore[assignment]
    for each in items:
        why = each["why"]
        assert sum(why["parts"].values()) == pytest.approx(each["score"], abs=1e-3)
        assert [one["item"] for one in why["history"]] == ["i01", "i33"]
        assert sum(one["attention"] for one in why["history"]) == pytest.approx(1, abs=1e-4)
        assert why["nearest"]["item"] in ("i01", "i33")
        assert abs(why["nearest"]["similarity"]) <= 1.001
        assert why["history"][0]["title"] == "[item] i01"
    assert answer["timing_ms"]["explain"] > 0  # type: ignore[index]


def test_without_a_history_everything_is_popularity(service: Service) -> None:
    answer = service.recommend(history=[], explain=True)
    for each in answer["items"]:  # type: ignore[attr-defined]
        assert each["why"]["nearest"] is None
        assert each["why"]["history"] == []
        assert each["why"]["parts"] == {"popularity": pytest.approx(each["score"], abs=1e-5)}


def test_many_are_not_explained_at_once(service: Service) -> None:
    body = {"histories": [["i01"]], "explain": True}
    assert service.client.post("/v1/recommend:batch", json=body).status_code == 422


def test_a_batch_is_answered_as_one_by_one(service: Service) -> None:
    found = service.client.post("/v1/recommend:batch", json={"histories": HISTORIES, "k": 5})
    assert found.status_code == 200
    for answer, history in zip(found.json()["results"], HISTORIES, strict=True):
        alone = service.recommend(history=history, k=5)
        assert ids(answer) == ids(alone)


def test_many_at_once_get_what_each_would_get_alone(service: Service) -> None:
    histories = [[f"i{a:02}", f"i{(a + b) % 60:02}"] for a in range(20) for b in (1, 2)]

    def ask(history: list[str]) -> list[object]:
        return ids(service.recommend(history=history, steps=1))

    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(ask, histories))
    service.context.rankings.use(service.context.engine)  # forget what was remembered
    assert together == [ask(history) for history in histories]


def test_a_batch_lets_others_have_their_turn(model_directory: Path) -> None:
    context: Context = build(settings_of(model_directory)).state.context
    done: list[str] = []
    asked = RecommendRequest.model_validate({"history": ["i01"]})

    async def ask(name: str, people: int) -> None:
        await recommend(context, [["i01"]] * people, asked)
        done.append(name)

    async def both() -> None:
        context.rankings.batcher.start()
        await ask("first", 1)  # so that nobody waits for a ranking afterwards
        await asyncio.gather(ask("batch", 100), ask("one", 1))
        await context.rankings.batcher.stop()
        await context.store.close()

    asyncio.run(both())
    assert done == ["first", "one", "batch"]


def test_without_time_the_popular_is_answered_and_said_to_be(
    model_directory: Path, recommender: Recommender
) -> None:
    limits = Limits(deadline_ms=0.01, gather_ms=50.0)
    with serving(settings_of(model_directory, limits=limits)) as service:
        answer = service.recommend(history=["i01"], k=60)
        chosen = service.recommend(history=["i01"], only=["i40", "i41"])
    counts = recommender.checkpoint.item_counts
    found = recommender.items.encode(ids(answer)).tolist()
    assert answer["fallback"]
    assert len(found) == 59
    assert "i01" not in ids(answer)
    assert [counts[item] for item in found] == sorted(counts[found].tolist(), reverse=True)
    assert set(ids(chosen)) == {"i40", "i41"}


def test_a_choice_of_items_counts_for_everybody_in_a_batch(service: Service) -> None:
    only = [f"i{number:02}" for number in range(1, 9)]
    histories = [["i01", "i02"], ["i03"], [], only]
    body = {"histories": histories, "only": only, "exclude": ["i08"], "k": 8}
    for filter_seen in (True, False):
        answers = service.client.post(
            "/v1/recommend:batch", json={**body, "filter_seen": filter_seen}
        ).json()["results"]
        for history, answer in zip(histories, answers, strict=True):
            left = set(only) - {"i08"} - (set(history) if filter_seen else set())
            assert set(ids(answer)) == left
            assert ids(answer) == ids(
                service.recommend(
                    history=history, only=only, exclude=["i08"], k=8, filter_seen=filter_seen
                )
            )


def test_where_too_many_wait_the_next_one_is_sent_away(model_directory: Path) -> None:
    limits = Limits(waiting=3, gather_ms=300.0)
    with serving(settings_of(model_directory, limits=limits)) as service:
        body = {"histories": [["i01"], ["i02"], ["i03"], ["i04"]]}
        refused = service.client.post("/v1/recommend:batch", json=body)
        served = service.client.post(
            "/v1/recommend:batch", json={"histories": body["histories"][:3]}
        )
    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "1"
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert served.status_code == 200
