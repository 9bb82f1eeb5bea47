"""Ids as a store holds them, so that each comes back as exactly what it was.

Knows nothing about: where they are held.
"""

from __future__ import annotations

import json
from typing import cast

from clusterseq.reading.vocab import RawId


def pack_text(text: str) -> bytes:
    r"""Bytes of a text; half of a surrogate pair, which JSON can carry, is no obstacle.

    >>> pack_text("\ud800")
    b'\xed\xa0\x80'
    """
    return text.encode("utf-8", "surrogatepass")


def unpack_text(data: bytes) -> str:
    """The text of ``pack_text``."""
    return data.decode("utf-8", "surrogatepass")


def pack_item(item: RawId) -> str:
    """JSON of an item id, which tells strings from integers.

    >>> pack_item("12"), pack_item(12)
    ('"12"', '12')
    """
    return json.dumps(item)


def unpack_item(text: str | bytes) -> RawId:
    """The item id of ``pack_item``."""
    return cast(RawId, json.loads(text))
