"""The site is built without a warning, asks nobody for anything, and can be searched as files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request, expect, sync_playwright

from tests.docs.blocks import DOCS, ROOT
from tests.service.serving import PATIENCE

FETCHED = re.compile(
    r"""<(?:script|img|iframe)\b[^>]*\bsrc=["']?(\w+:)?//|<link\b[^>]*\bhref=["']?\w+://"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "site"
    build = [sys.executable, "-P", "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(build, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr
    return out


def test_every_written_page_is_in_it(site: Path) -> None:
    written = {page.relative_to(DOCS).with_suffix(".html") for page in DOCS.rglob("*.md")}
    built = {page.relative_to(site) for page in site.rglob("*.html")}
    assert written <= built
    made = ("cli", "codes", "http")
    assert {Path(f"reference/{name}.html") for name in made} <= built


def test_no_page_fetches_anything_from_elsewhere(site: Path) -> None:
    pages = [*site.rglob("*.html")]
    assert len(pages) > 20
    for page in pages:
        assert not FETCHED.search(page.read_text(encoding="utf-8")), page


@pytest.fixture
def page(site: Path) -> Iterator[Page]:
    binary = shutil.which("chromium")
    if binary is None:
        pytest.skip("chromium isn't installed; Debian's package chromium has it")
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=flags)
        context = browser.new_context(offline=True, viewport={"width": 390, "height": 800})
        context.set_default_timeout(1000 * PATIENCE)
        expect.set_options(timeout=1000 * PATIENCE)
        yield context.new_page()
        browser.close()


def test_it_is_read_and_searched_as_files_without_a_network(site: Path, page: Page) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.extend(failure(request)))
    for name in ("accuracy", "reference/python", "reference/codes", "index"):
        page.goto((site / f"{name}.html").as_uri())
        wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
        assert not wide, f"{name} fits a telephone"
    page.locator("label[for=__search]").first.click()
    expect(page.locator(".md-search-result__meta")).to_have_text("Type to start searching")
    page.locator("input[name=query]").press_sequentially("popularity")
    page.locator(".md-search-result__item").first.wait_for()
    assert not complaints


def failure(request: Request) -> list[str]:
    """What was asked for in vain; the icon of a page that is left at once is not."""
    why = str(request.failure)
    return [] if why == "net::ERR_ABORTED" else [f"{request.url}: {why}"]
