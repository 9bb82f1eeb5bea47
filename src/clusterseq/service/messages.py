"""What goes in and out over HTTP: the shapes of requests and answers, as the document shows them.

Bounds that the operator sets (``Limits``) are checked in the routes, which can name them.

Knows nothing about: what is done with them.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictInt,
    StrictStr,
    Tag,
)


def _whole(value: Any) -> Any:
    """A number without a fraction is an integer in JSON, however it is written."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _text(value: int | str) -> int | str:
    """JSON can write half a character, and no answer could hold it."""
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError("half a character (a lone surrogate) is no text") from error
    return value


Whole = Annotated[int, BeforeValidator(_whole)]
ItemId = Annotated[StrictInt | StrictStr, BeforeValidator(_whole), AfterValidator(_text)]
Place = Annotated[list[float], Field(min_length=2, max_length=2)]
UserId = Annotated[StrictStr, Field(min_length=1, max_length=512), AfterValidator(_text)]
Share = Annotated[float, Field(ge=0, le=1)]


class Message(BaseModel):
    """A request: an unknown name or a value of another type is a mistake, and told as one."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Filters(Message):
    """What is recommended, whoever is asked for."""

    k: Whole = Field(10, ge=1, description="How many items to recommend.")
    exclude: list[ItemId] = Field([], description="Items never to recommend.")
    only: list[ItemId] | None = Field(None, description="The items to choose from; null for all.")
    filter_seen: bool = Field(True, description="Leave out what is in the history.")
    steps: Annotated[int, Field(ge=0), BeforeValidator(_whole)] | None = Field(
        None, description="Steps of adaptation; null for all, 0 for none."
    )


class RecommendRequest(Filters):
    """A person: by what they touched, or by who they are if their events were sent here."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"history": ["45", "9"]}]})

    history: list[ItemId] | None = Field(None, description="Item ids, oldest first.")
    user: UserId | None = Field(None, description="Whose stored history is meant.")
    explain: bool = Field(False, description="Say why of each item; takes some times as long.")


class BatchRequest(Filters):
    """Many people at once."""

    histories: list[list[ItemId]] = Field(min_length=1, description="A history for each person.")


class Named(BaseModel):
    """An item."""

    item: int | str = Field(description="Its id.")
    title: str | None = Field(None, description="What it is called, if the model was told.")


class Similar(Named):
    """An item beside another one."""

    similarity: float = Field(description="Cosine of their vectors, −1 … 1.")


class Because(Named):
    """An item of the history, and what it has to do with one that is recommended."""

    gain: float = Field(description="By how much it raises that one's log-probability, in nats.")
    attention: Share | None = Field(description="Its share of the decoder's attention.")


class Why(BaseModel):
    """Why an item is recommended."""

    parts: dict[str, float] = Field(description="What the score is the sum of.")
    history: list[Because] = Field(description="What was touched, as far as it is read.")
    nearest: Similar | None = Field(description="The item of the history that is most like it.")


class Recommended(Named):
    """An item for a person."""

    score: float = Field(description="Comparable within one answer only; higher is better.")
    why: Why | None = Field(None, description="Why it is there, if that was asked.")


class Timing(BaseModel):
    """Milliseconds of an answer; adapting and scoring are of all who were served together."""

    total: float
    store: float = Field(0.0, description="Reading the stored history.")
    adapt: float = Field(0.0, description="Adapting to the person.")
    score: float = Field(0.0, description="Ranking the catalogue.")
    explain: float = Field(0.0, description="Finding out why.")


class Recommendations(BaseModel):
    """What one person may like, best first."""

    items: list[Recommended]
    cluster: int | None = Field(description="The learnt cluster that the person belongs to most.")
    clusters: list[Share] = Field(description="How much they belong to each.")
    position: Place | None = Field(description="Where they stand on the map, −1 … 1.")
    ignored_items: list[int | str] = Field(description="What of the history the model doesn't know")
    recommendation_id: str = Field(description="To be sent along with events that come of it.")
    fallback: bool = Field(description="Whether this is what is popular, for want of time.")
    cached: bool = Field(description="Whether the ranking was remembered.")
    model_version: str = Field(description="Of the model that made it.")
    timing_ms: Timing


class BatchAnswer(BaseModel):
    """One answer for each history, in the same order."""

    results: list[Recommendations]


class Event(Message):
    """Somebody touched something."""

    user: UserId
    item: ItemId
    time: float | None = Field(
        None, ge=0, lt=1e11, description="Seconds since 1970; now, if it isn't said."
    )
    id: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_text)] | None = Field(
        None, description="Sent twice, an event of the same id counts once."
    )
    recommendation_id: str | None = Field(
        None, max_length=64, description="The answer that it came of."
    )
    consent: bool = Field(True, description="Without consent nothing of it is kept.")


class Events(Message):
    """Several at once."""

    events: list[Event] = Field(min_length=1)


def _one_or_several(value: Any) -> str:
    return "<several>" if isinstance(value, Events | dict) and "events" in dict(value) else "<one>"


OneOrSeveral: TypeAlias = Annotated[
    Annotated[Event, Tag("<one>")] | Annotated[Events, Tag("<several>")],
    Discriminator(_one_or_several),
]
"""What a body is, by whether it has a list of events: else each kind complains of the other."""


class EventsAnswer(BaseModel):
    """What became of them."""

    accepted: int = Field(description="New ones, safely kept.")
    duplicates: int = Field(description="Those that were known already.")
    unconsented: int = Field(description="Those of which nothing was kept.")


class StoredEvent(Named):
    """What is kept of an event."""

    id: str
    time: float
    known: bool = Field(description="Whether the model knows the item.")


class User(BaseModel):
    """All that is kept of a person."""

    user: str
    events: list[StoredEvent]


class Erased(BaseModel):
    """What was erased; nothing of the person is left."""

    user: str
    erased: int


class ListedItem(Named):
    """An item of the catalogue."""

    count: int = Field(description="How often it was touched in training.")


class ItemsAnswer(BaseModel):
    """Items found, the most popular first."""

    items: list[ListedItem]
    total: int = Field(description="How many were found in all.")


class SimilarAnswer(BaseModel):
    """The nearest items, nearest first."""

    items: list[Similar]


class Cluster(BaseModel):
    """A learnt kind of people."""

    id: int
    size: Share
    typical: list[Named]
    position: Place


class ModelAnswer(BaseModel):
    """The model in use."""

    version: str
    name: str
    items: int
    known_users: int
    events: int
    inner_steps: int = Field(description="Steps of adaptation.")
    clusters: list[Cluster]
    metrics: dict[str, Any] = Field(description="Of its evaluation, as training has saved them.")


class MapAnswer(BaseModel):
    """Popular items as points x, y, cluster."""

    points: list[Annotated[list[float], Field(min_length=3, max_length=3)]]


class Health(BaseModel):
    """Whether the service lives, or can serve."""

    status: str
    model_version: str | None = None
