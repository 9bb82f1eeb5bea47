"""The service as a Ray Serve application, for more machines than one; see deploy/ray-serve.yaml.

Every replica builds the whole application, with the model in its memory; Ray puts them behind one
address, starts them anew where one dies, and replaces them one after the other when the
configuration changes.

Knows nothing about: what is served.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import FastAPI

from clusterseq.errors import ConfigError
from clusterseq.service.logs import log_to_stderr
from clusterseq.service.server import Settings, build

KNOWN = ("model", "store", "keys", "threads", "version")


def application(arguments: dict[str, Any]) -> Any:
    """What ``serve deploy`` runs, by the arguments of its configuration.

    ``model`` and ``keys`` are paths that all machines see, ``store`` is a Redis. ``version`` means
    nothing: a new one makes Ray replace the replicas, which read the model anew.

    Raises:
        ConfigError: an argument is missing or unknown, or the store is one process's own.
    """
    from ray import serve  # which only a cluster's machines have

    if unknown := set(arguments) - set(KNOWN):
        raise ConfigError(f"argument {min(unknown)} is unknown; known are {', '.join(KNOWN)}")
    for name in ("model", "store"):
        if name not in arguments:
            raise ConfigError(f"argument {name} is missing; say it under args:")
    keys = arguments.get("keys")
    settings = Settings(
        model=Path(arguments["model"]),
        store=arguments["store"],
        keys=None if keys is None else Path(keys),
        threads=int(arguments.get("threads", 1)),
        processes=2,  # asks for a store that is shared; Ray says how many there are
    )

    def built() -> FastAPI:
        log_to_stderr(settings.log_level)
        return build(settings)

    @serve.deployment(name="clusterseq")
    @serve.ingress(built)
    class Replica:
        """One process of the service."""

    return Replica.bind()  # type: ignore[attr-defined]
