"""Events: somebody touched something, which the next recommendation should know.

Knows nothing about: where they are kept.
"""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from collections.abc import Sequence

from fastapi import APIRouter

from clusterseq.service import messages
from clusterseq.service.context import Context
from clusterseq.service.store.protocol import Event


def router(context: Context) -> APIRouter:
    """The route."""
    routes = APIRouter(prefix="/v1", tags=["events"], dependencies=context.needs("events"))

    @routes.post("/events", response_model=messages.EventsAnswer, status_code=200)
    async def take_events(request: messages.Event | messages.Events) -> messages.EventsAnswer:
        """Keep one event or several, in any order; once answered, they are safe.

        An event of an id that was sent before counts once, so a request can be repeated.
        """
        events = request.events if isinstance(request, messages.Events) else [request]
        context.bound("events", len(events), context.limits.events)
        context.bound_ids("events", [event.item for event in events], context.limits.events)
        return await _kept(context, events)

    return routes


async def _kept(context: Context, events: Sequence[messages.Event]) -> messages.EventsAnswer:
    now, by_user = time.time(), defaultdict(list)
    consented = [event for event in events if event.consent]
    for event in consented:
        when = now if event.time is None else event.time
        by_user[event.user].append(Event(event.id or uuid.uuid4().hex, event.item, when))
    accepted = 0
    for user, theirs in by_user.items():
        accepted += await context.store.append(user, theirs)
    outcomes = {
        "accepted": accepted,
        "duplicates": len(consented) - accepted,
        "unconsented": len(events) - len(consented),
    }
    for outcome, count in outcomes.items():
        context.metrics.events.labels(outcome).inc(count)
    context.metrics.attributed.inc(sum(e.recommendation_id is not None for e in events))
    return messages.EventsAnswer(**outcomes)
