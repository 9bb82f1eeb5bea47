"""Ids in addresses, as they are: with slashes, and with newlines, which Starlette's paths end at.

Knows nothing about: whose ids they are.
"""

from __future__ import annotations

from starlette.convertors import PathConvertor, register_url_convertor


class _Id(PathConvertor):
    """All that stands there."""

    regex = "(?s:.*)"


register_url_convertor("id", _Id())


def id_of(name: str) -> str:
    """Where an id stands in the address of a route.

    >>> id_of("user")
    '{user:id}'
    """
    return f"{{{name}:id}}"
