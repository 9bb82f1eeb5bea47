"""Events: somebody touched something, which the next recommendation should know.

Knows nothing about: where they are kept.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby, islice
from operator import itemgetter

from fastapi import APIRouter

from clusterseq.service import messages
from clusterseq.service.async_store import WRITERS
from clusterseq.service.context import Context
from clusterseq.service.store.protocol import Event


def router(context: Context) -> APIRouter:
    """The route."""
    routes = APIRouter(prefix="/v1", tags=["events"], dependencies=context.needs("events"))

    @routes.post("/events", response_model=messages.EventsAnswer, status_code=200)
    async def take_events(request: messages.OneOrSeveral) -> messages.EventsAnswer:
        """Keep one event or several, in any order; once answered, they are safe.

        An event of an id that was sent before counts once, so a request can be repeated.
        """
        events = request.events if isinstance(request, messages.Events) else [request]
        context.bound("events", len(events), context.limits.events)
        context.bound_ids("events", [event.item for event in events], context.limits.events)
        return await _stored(context, events)

    return routes


async def _stored(context: Context, events: Sequence[messages.Event]) -> messages.EventsAnswer:
    now, by_user = time.time(), defaultdict(list)
    consented = [event for event in events if event.consent]
    for event in consented:
        when = now if event.time is None else event.time
        stored = Event(event.id or uuid.uuid4().hex, event.item, when)
        by_user[event.user].append((event.recommendation_id is not None, stored))
    counted, accepted = context.metrics.events.labels, 0
    counted("unconsented").inc(len(events) - len(consented))
    people = iter(by_user.items())
    while batch := list(islice(people, WRITERS)):  # as many as find a thread to write them at once
        written = await asyncio.gather(*(_written(context, *entry) for entry in batch))
        # At once, as the next may fail: what is repeated then counts as sent twice.
        new = sum(new for new, _ in written)
        counted("accepted").inc(new)
        counted("duplicates").inc(sum(len(stored) for _, stored in batch) - new)
        context.metrics.attributed.inc(sum(ours for _, ours in written))
        accepted += new
    return messages.EventsAnswer(
        accepted=accepted,
        duplicates=len(consented) - accepted,
        unconsented=len(events) - len(consented),
    )


async def _written(
    context: Context, user: str, events: Sequence[tuple[bool, Event]]
) -> tuple[int, int]:
    """How many events of a user were new, and how many of those came of a recommendation."""
    accepted = attributed = 0
    # Apart, in their order, since the store tells how many were new and not which.
    for came_of_us, group in groupby(events, key=itemgetter(0)):
        new = await context.store.append(user, [event for _, event in group])
        accepted += new
        attributed += new * came_of_us
    return accepted, attributed
