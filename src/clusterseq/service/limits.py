"""What a service will take on, so that no single caller can take all of it.

Knows nothing about: HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from clusterseq.errors import ConfigError


@dataclass(frozen=True)
class Limits:
    """Each is told to whoever exceeds it."""

    history: int = 500
    """Items in a history."""
    k: int = 100
    """Items that can be recommended at once."""
    batch: int = 1_024
    """Histories in a batch."""
    events: int = 1_000
    """Events in one request."""
    filters: int = 10_000
    """Ids in ``exclude`` or ``only``."""
    id_length: int = 1_000
    """Characters of an id."""
    body_bytes: int = 2 * 2**20
    """Bytes in the body of a request."""
    head_bytes: int = 2**16
    """Bytes of a request that aren't its body: address, headers, the lengths of its pieces."""
    connections: int = 2_048
    """Connections at once; at the next one, the client that has taken longest is let go."""
    client_seconds: float = 20.0
    """How long a client may take to send a request, to read its answer, or to ask again."""
    waiting: int = 2_048
    """People who may wait for their turn; the next one is told to come back."""
    at_once: int = 64
    """People who are adapted to in one batch."""
    gather_ms: float = 2.0
    """How long the first of them waits for the others."""
    deadline_ms: float = 1_000.0
    """After so long a person gets what is popular."""
    store_seconds: float = 5.0
    """How long the history store may take to answer; after it, it is out of reach."""
    remembered: int = 10_000
    """People whose ranking is kept for their next request."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) <= 0:
                raise ConfigError(
                    f"limit {field.name} = {getattr(self, field.name)} allows nothing; give more"
                )
