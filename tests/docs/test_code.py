"""Every command and every line of Python that a page shows does what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, blocks_of, name_of
from tests.docs.reader import Reader

MOST_NOT_RUN = 40
WITH_CODE = [page for page in PAGES if any(block.language for block in blocks_of(page))]


@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_a_page_can_be_followed(page: Path, reader: Reader) -> None:
    for block in blocks_of(page):
        reader.follow(block)


def test_what_is_not_run_is_little_and_says_why() -> None:
    blocks = [block for page in PAGES for block in blocks_of(page)]
    reasons = [block.note for block in blocks if not block.is_run]
    assert all(len(reason) > len("not run: because") for reason in reasons)
    assert len(reasons) <= MOST_NOT_RUN
