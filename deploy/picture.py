"""Take the picture of the README: the service's page after three films were touched.

    clusterseq demo && python deploy/picture.py clusterseq-demo

Needs the extra ``dev`` and Chromium. The model's directory is served for as long as it takes.
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright
from trial import served

PICTURE = Path(__file__).parents[1] / "docs" / "assets" / "page.png"
TOUCHED = ("Intouchables", "Jagten", "Amour")
"""What is typed into the search, one after the other."""
COLOURS = 256
WIDTH, HEIGHT = 1280, 860


def main(model: Path) -> None:
    """Serve, touch, look, save."""
    line = [sys.executable, "-m", "clusterseq", "serve", str(model), "--store", "memory:"]
    with served(line) as address, sync_playwright() as playwright:
        chromium = shutil.which("chromium") or sys.exit("chromium isn't installed")
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--headless=new", "--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT},
            color_scheme="light",
            reduced_motion="reduce",
        )
        page.goto(address)
        _touch(page)
        shot = page.screenshot()
        browser.close()
    PICTURE.parent.mkdir(exist_ok=True)
    Image.open(io.BytesIO(shot)).convert("RGB").quantize(COLOURS).save(PICTURE, optimize=True)
    print(PICTURE, PICTURE.stat().st_size)


def _touch(page: Page) -> None:
    for done, words in enumerate(TOUCHED, 1):
        page.wait_for_selector(f'#app[data-state="ready"][data-answers="{done}"]')
        page.get_by_test_id("search-input").fill(words)
        page.get_by_test_id("search-option").first.click()
    page.wait_for_selector(f'#app[data-state="ready"][data-answers="{len(TOUCHED) + 1}"]')
    page.get_by_test_id("search-input").blur()
    page.mouse.move(0, 0)
    page.evaluate("document.fonts.ready")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
