"""Raw ids as words of a command line: A,B,C, and in quotes what holds a comma.

Knows nothing about: which ids there are.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence


def split_ids(text: str) -> list[str]:
    """The ids between commas or line breaks, without the spaces around them.

    >>> split_ids('milk, "bread, white",, tea')
    ['milk', 'bread, white', 'tea']
    >>> split_ids("milk\\r\\ntea\\n")
    ['milk', 'tea']
    """
    rows = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True)
    return [part.strip() for row in rows for part in row if part.strip()]


def joined_ids(ids: Sequence[object]) -> str:
    """What ``split_ids`` takes apart.

    >>> joined_ids(["milk", "bread, white"])
    'milk,"bread, white"'
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(ids)
    return text.getvalue()
