"""Events and people over HTTP: kept, seen, erased, and read by the next recommendation."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.service.serving import Served, Service, serving, settings_of


@pytest.fixture
def service(model_directory: Path, tmp_path: Path) -> Iterator[Service]:
    with serving(settings_of(model_directory, f"sqlite:{tmp_path / 'histories'}")) as running:
        yield running


def send(service: Service, *events: dict[str, object]) -> dict[str, int]:
    found = service.client.post("/v1/events", json={"events": list(events)})
    assert found.status_code == 200, found.text
    outcome: dict[str, int] = found.json()
    return outcome


def items(service: Service, user: str) -> list[str]:
    found = service.client.get(f"/v1/users/{user}")
    assert found.status_code == 200
    return [event["item"] for event in found.json()["events"]]


def test_a_user_is_recommended_to_as_their_history_is(service: Service) -> None:
    for item in ("i01", "i02", "i07"):
        found = service.client.post("/v1/events", json={"user": "ann", "item": item})
        assert found.json() == {"accepted": 1, "duplicates": 0, "unconsented": 0}
    stateful = service.recommend(user="ann")
    stateless = service.recommend(history=["i01", "i02", "i07"])
    assert stateful["items"] == stateless["items"]
    assert stateful["timing_ms"]["store"] > 0  # type: ignore[index]


def test_a_stranger_gets_what_nobody_in_particular_gets(service: Service) -> None:
    assert service.recommend(user="nobody")["items"] == service.recommend(history=[])["items"]
    assert items(service, "nobody") == []


def test_events_of_many_people_come_at_once(service: Service) -> None:
    people = [f"p{number:03}" for number in range(300)]
    several: list[dict[str, object]] = [{"user": user, "item": "i01", "id": "a"} for user in people]
    assert send(service, *several, several[7])["accepted"] == len(people)
    assert send(service, *several)["duplicates"] == len(people)
    assert all(items(service, user) == ["i01"] for user in people[::50])


def test_events_may_come_in_any_order_and_twice(service: Service) -> None:
    late = {"user": "bob", "item": "i03", "time": 300, "id": "c"}
    early = {"user": "bob", "item": "i01", "time": 100, "id": "a"}
    middle = {"user": "bob", "item": "i02", "time": 200, "id": "b"}
    assert send(service, late, early)["accepted"] == 2
    assert send(service, middle, early, late) == {
        "accepted": 1,
        "duplicates": 2,
        "unconsented": 0,
    }
    assert items(service, "bob") == ["i01", "i02", "i03"]


def test_what_came_of_a_recommendation_is_counted_once(service: Service) -> None:
    def counted() -> float:
        lines = service.client.get("/metrics").text.splitlines()
        (line,) = (each for each in lines if each.startswith("clusterseq_events_attributed_total"))
        return float(line.split()[-1])

    before = counted()
    clicks = [
        {"user": "may", "item": "i01", "id": "1", "recommendation_id": "r", "time": 1},
        {"user": "may", "item": "i02", "id": "2", "time": 2},
        {"user": "may", "item": "i03", "id": "3", "recommendation_id": "r", "time": 3},
    ]
    refused = {"user": "may", "item": "i04", "recommendation_id": "r", "consent": False}
    assert send(service, *clicks, refused)["accepted"] == 3
    assert send(service, *clicks)["duplicates"] == 3
    assert counted() == before + 2
    assert items(service, "may") == ["i01", "i02", "i03"]


def test_without_consent_nothing_is_kept(service: Service) -> None:
    outcome = send(
        service,
        {"user": "eve", "item": "i01", "consent": False},
        {"user": "eve", "item": "i02"},
    )
    assert outcome == {"accepted": 1, "duplicates": 0, "unconsented": 1}
    assert items(service, "eve") == ["i02"]


def test_ids_may_hold_line_breaks(service: Service) -> None:
    for user in ("ann", "ann\n", "bob\nx"):
        send(service, {"user": user, "item": "i01"})
    assert items(service, "bob%0Ax") == ["i01"]
    assert service.client.delete("/v1/users/ann%0A").json() == {"user": "ann\n", "erased": 1}
    assert [items(service, user) for user in ("ann", "ann%0A")] == [["i01"], []]


def test_what_is_kept_can_be_seen_and_erased(service: Service) -> None:
    send(service, {"user": "a/b ü", "item": "i01", "time": 5, "id": "x"})
    send(service, {"user": "a/b ü", "item": 77, "time": 6, "id": "y"})
    found = service.client.get("/v1/users/a%2Fb%20%C3%BC").json()
    assert found["events"] == [
        {"item": "i01", "title": "[item] i01", "id": "x", "time": 5.0, "known": True},
        {"item": 77, "title": None, "id": "y", "time": 6.0, "known": False},
    ]
    erased = service.client.delete("/v1/users/a%2Fb%20%C3%BC").json()
    assert erased == {"user": "a/b ü", "erased": 2}
    assert items(service, "a%2Fb%20%C3%BC") == []


def test_what_was_acknowledged_outlives_the_process(model_directory: Path, tmp_path: Path) -> None:
    store = f"sqlite:{tmp_path / 'histories'}"
    running = Served(model_directory, "--store", store)
    try:
        for at in range(20):
            body = {"user": "ann", "item": f"i{at:02}", "time": at}
            assert httpx2.post(f"{running.url}/v1/events", json=body).status_code == 200
    finally:
        running.end(signal.SIGKILL)
    with serving(settings_of(model_directory, store)) as service:
        assert items(service, "ann") == [f"i{at:02}" for at in range(20)]


def test_two_services_on_one_redis_see_one_history(model_directory: Path, redis_url: str) -> None:
    with (
        serving(settings_of(model_directory, redis_url)) as one,
        serving(settings_of(model_directory, redis_url)) as two,
    ):
        send(one, {"user": "ann", "item": "i01", "time": 1})
        send(two, {"user": "ann", "item": "i02", "time": 2})
        assert items(one, "ann") == items(two, "ann") == ["i01", "i02"]
        assert one.recommend(user="ann")["items"] == two.recommend(user="ann")["items"]
        assert two.client.delete("/v1/users/ann").json()["erased"] == 2
        assert items(one, "ann") == []
