"""A caller that asks a service all it can be asked, and believes no answer.

It knows what it has sent and what was acknowledged, so it can tell what may be answered, whatever
happens to the service meanwhile: an answer that is right, a 503 that says when to come back, or
none at all from a process that was being ended.

Knows nothing about: what is done to the service.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any

import numpy as np

from tests.service.serving import PATIENCE, Served

CATALOGUE = [f"i{number:02}" for number in range(60)]
STRANGE = ["nothing", "ü🛒", "I01"]
"""Items that no model knows."""
MOST_EVENTS = 30
"""Events of a user before there is another one; more than fills a ranking's history."""


@dataclass
class User:
    """What a caller knows of a user whose events it alone sends."""

    name: str
    sent: dict[str, str] = field(default_factory=dict)
    """Items by the ids of events, whether or not they were acknowledged."""
    kept: dict[str, str] = field(default_factory=dict)
    """The same of those that were, and were not erased since."""


class Caller:
    """Asks one thing after the other, each drawn from its own generator."""

    def __init__(self, name: str, seed: int, service: Callable[[], Served]) -> None:
        self.name, self.service = name, service
        self.draws = np.random.default_rng(seed)
        self.told: Counter[str] = Counter()
        """How often each kind of request had which outcome."""
        self.wrong: list[str] = []
        """Answers that may not be."""
        self.users: list[User] = []
        self._ever = 0
        self._welcome()
        self.kinds = (self.recommend, self.recommend_user, self.batch, self.send, self.send)
        self.rarer = (self.see, self.see, self.erase, self.look_around)

    def run(self, ended: threading.Event) -> None:
        """Ask until somebody says it is enough."""
        while not ended.is_set():
            kinds = self.rarer if self.draws.random() < 0.2 else self.kinds
            self.once(kinds[self.draws.integers(len(kinds))])

    def once(self, kind: Callable[[], str]) -> None:
        """Ask one thing, and note what came of it."""
        try:
            outcome = kind()
        except AssertionError as error:
            outcome = "WRONG"
            self.wrong.append(f"{self.name}, {kind.__name__}: {error}")
        self.told[f"{kind.__name__}: {outcome}"] += 1

    def recommend(self) -> str:
        """Recommend for a history."""
        body, history = self._wanted(), self._history()
        answer = self._ask("POST", "/v1/recommend", {**body, "history": history})
        if isinstance(answer, str):
            return answer
        check(answer, body, seen=set(history), unknown=history)
        return "fallback" if answer["fallback"] else "ok"

    def recommend_user(self) -> str:
        """Recommend for a user, some of whose events may not have been acknowledged."""
        user, body = self._user(), self._wanted()
        answer = self._ask("POST", "/v1/recommend", {**body, "user": user.name})
        if isinstance(answer, str):
            return answer
        check(answer, body, seen=set(user.kept.values()), perhaps=set(user.sent.values()))
        return "fallback" if answer["fallback"] else "ok"

    def batch(self) -> str:
        """Recommend for many histories."""
        body = self._wanted()
        histories = [self._history() for _ in range(self.draws.integers(1, 40))]
        answer = self._ask("POST", "/v1/recommend:batch", {**body, "histories": histories})
        if isinstance(answer, str):
            return answer
        assert len(answer["results"]) == len(histories), "an answer for each"
        for each, history in zip(answer["results"], histories, strict=True):
            check(each, body, seen=set(history), unknown=history)
        return "ok"

    def send(self) -> str:
        """Send some events, and again some that were sent before."""
        user = self._user()
        if len(user.sent) > MOST_EVENTS:
            user = self._welcome()
        new = {f"e{len(user.sent) + n}": self._item() for n in range(self.draws.integers(1, 6))}
        again = dict(list(user.kept.items())[-3:])
        events = [{"user": user.name, "item": i, "id": n} for n, i in (again | new).items()]
        user.sent |= new
        answer = self._ask("POST", "/v1/events", {"events": events})
        if isinstance(answer, str):
            return answer
        # The store may have been asked twice, and then what was new is there the second time.
        assert answer["accepted"] <= len(new), f"{answer} of {len(new)} new ones"
        assert answer["accepted"] + answer["duplicates"] == len(events), f"{answer}"
        user.kept |= new
        return "ok"

    def see(self) -> str:
        """See what is kept of a user."""
        return self.see_user(self._user())

    def see_user(self, user: User) -> str:
        """What was acknowledged is there, and nothing that wasn't sent."""
        answer = self._ask("GET", f"/v1/users/{user.name}")
        if isinstance(answer, str):
            return answer
        found = {event["id"]: event["item"] for event in answer["events"]}
        lost = user.kept.keys() - found.keys()
        assert not lost, f"{user.name}: {sorted(lost)} were acknowledged and are gone"
        assert found.items() <= user.sent.items(), "only what was sent"
        times = [event["time"] for event in answer["events"]]
        assert times == sorted(times), "oldest first"
        return "ok"

    def erase(self) -> str:
        """Erase a user; one whose erasure wasn't acknowledged may be erased at any time."""
        user = self._user()
        answer = self._ask("DELETE", f"/v1/users/{user.name}")
        user.kept.clear()
        if isinstance(answer, str):
            self.users.remove(user)
            self._welcome()
            return answer
        assert answer["erased"] <= len(user.sent), "no more than was sent"
        return "ok"

    def look_around(self) -> str:
        """Everything else that can be read."""
        item = CATALOGUE[self.draws.integers(60)]
        paths = ["/healthz", "/v1/model", "/v1/model/map", f"/v1/items?query={item}"]
        paths += [f"/v1/items/{item}/similar", "/readyz"]
        answer = self._ask("GET", paths[self.draws.integers(len(paths))])
        return answer if isinstance(answer, str) else "ok"

    def _ask(self, method: str, path: str, body: object = None) -> dict[str, Any] | str:
        """An answer's content; else what came instead of it, if that may be."""
        service = self.service()
        connection = HTTPConnection("127.0.0.1", service.port, timeout=2 * PATIENCE)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, HTTPException) as error:
            if not service.ending:
                raise AssertionError(f"{error!r} of a process that lives") from error
            time.sleep(0.05)  # the next one is on its way
            return "ended"
        finally:
            connection.close()
        if answer.status == 503:
            return _refusal(answer, content)
        assert answer.status == 200, f"{answer.status} {content[:300]!r}"
        found: dict[str, Any] = json.loads(content)
        return found

    def _wanted(self) -> dict[str, Any]:
        """Filters of all kinds."""
        body: dict[str, Any] = {"k": int(self.draws.integers(1, 70))}
        if self.draws.random() < 0.3:
            body["exclude"] = self._items(20)
        if self.draws.random() < 0.3:
            body["only"] = self._items(30)
        if self.draws.random() < 0.3:
            body["filter_seen"] = False
        if self.draws.random() < 0.2:
            body["steps"] = int(self.draws.integers(0, 4))
        return body

    def _history(self) -> list[str]:
        return self._items(8)

    def _items(self, most: int) -> list[str]:
        return [self._item() for _ in range(self.draws.integers(0, most + 1))]

    def _item(self) -> str:
        everything = CATALOGUE if self.draws.random() < 0.95 else STRANGE
        return everything[self.draws.integers(len(everything))]

    def _welcome(self) -> User:
        """A new user."""
        self._ever += 1
        self.users.append(User(f"{self.name}-{self._ever}"))
        return self.users[-1]

    def _user(self) -> User:
        """One of the newest."""
        return self.users[-int(self.draws.integers(1, 1 + min(3, len(self.users))))]


def _refusal(answer: HTTPResponse, content: bytes) -> str:
    """What a 503 is about; it says when to come back."""
    assert answer.headers["Retry-After"], "a 503 says when to come back"
    assert answer.headers["Content-Type"] == "application/problem+json", content[:300]
    return str(json.loads(content)["title"])


def check(
    answer: dict[str, Any],
    wanted: dict[str, Any],
    *,
    seen: set[str],
    perhaps: set[str] = frozenset(),  # type: ignore[assignment]
    unknown: list[str] | None = None,
) -> None:
    """Whether a recommendation is one: as many as there can be, none refused, best first.

    Nobody knows whether the person has touched the items that are ``perhaps`` seen.
    """
    items = [each["item"] for each in answer["items"]]
    scores = [each["score"] for each in answer["items"]]
    allowed = set(wanted.get("only", CATALOGUE)) & set(CATALOGUE)
    allowed -= set(wanted.get("exclude", []))
    surely = allowed
    if wanted.get("filter_seen", True):
        allowed, surely = allowed - seen, allowed - seen - perhaps
    assert len(set(items)) == len(items), f"distinct items: {items}"
    assert set(items) <= allowed, f"refused: {set(items) - allowed}"
    least, most = (min(wanted["k"], len(each)) for each in (surely, allowed))
    assert least <= len(items) <= most, f"{len(items)} items, {least} to {most} expected"
    assert all(map(math.isfinite, scores)), f"finite scores: {scores}"
    assert scores == sorted(scores, reverse=True), f"best first: {scores}"
    if unknown is not None:
        assert answer["ignored_items"] == list(dict.fromkeys(_strange(unknown))), "strange items"


def _strange(items: list[str]) -> Iterator[str]:
    return (item for item in items if item not in CATALOGUE)
