"""People: what is kept of them, for them to see and to erase.

Knows nothing about: where it is kept.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from clusterseq.service import messages
from clusterseq.service.context import Context
from clusterseq.service.path_ids import id_of

UserPath = Annotated[str, Path(min_length=1, max_length=512, description="The user's id.")]


def router(context: Context) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1/users", tags=["users"], dependencies=context.needs("events"))

    @routes.get(f"/{id_of('user')}", response_model=messages.User)
    async def see(user: UserPath) -> messages.User:
        """All that is kept of a person, oldest first; of a stranger that is nothing."""
        events = await context.store.history(user)
        engine = context.engine
        codes = engine.items.encode([event.item for event in events]).tolist()
        stored = [
            messages.StoredEvent(
                item=event.item,
                title=engine.title(code) if code >= 0 else None,
                id=event.id,
                time=event.time,
                known=code >= 0,
            )
            for event, code in zip(events, codes, strict=True)
        ]
        return messages.User(user=user, events=stored)

    @routes.delete(f"/{id_of('user')}", response_model=messages.Erased)
    async def erase(user: UserPath) -> messages.Erased:
        """Erase all that is kept of a person."""
        return messages.Erased(user=user, erased=await context.store.erase(user))

    return routes
