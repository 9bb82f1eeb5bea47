"""The page in a browser, served by a real service: what people do there, and what they see."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    ViewportSize,
    expect,
    sync_playwright,
)

from clusterseq.service.keys import add_key
from clusterseq.service.limits import Limits
from tests.service.serving import PATIENCE, Service, serving, settings_of

ARGUMENTS = [
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
SHARED = ["i11", "i04", "i02"]
"""A history whose ranking the adaptation changes."""
PATIENT = Limits(deadline_ms=1000.0 * PATIENCE)
"""A busy machine answers late, and not with what is popular."""
REACH = 1.08
"""From the middle of the map to its edge."""


class Visitor:
    """Opens pages, and writes down whom they ask and what the browser complains of."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.complaints: list[str] = []
        self.expected: tuple[str, ...] = ()
        """What a complaint may hold, where a test asks for it."""

    def open(
        self, service: Service, address: str = "/", width: int = 1280, motion: bool = False
    ) -> Page:
        """A page as somebody sees it who has never been there."""
        context = self.browser.new_context(
            base_url=service.url,
            viewport=ViewportSize(width=width, height=900),
            reduced_motion="no-preference" if motion else "reduce",
        )
        context.set_default_timeout(1000 * PATIENCE)
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on("request", lambda request: self._see(request, service))
        page = context.new_page()
        page.goto(address)
        return page

    def _hear(self, message: ConsoleMessage) -> None:
        expected = any(text in message.text for text in self.expected)
        if message.type in ("error", "warning") and not expected:
            self.complaints.append(f"{message.type}: {message.text}")

    def _see(self, request: Request, service: Service) -> None:
        if urlsplit(request.url)[:2] != urlsplit(service.url)[:2]:
            self.complaints.append(f"asked elsewhere: {request.url}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    binary = shutil.which("chromium")
    if binary is None:
        pytest.skip("chromium isn't installed; Debian's package chromium has it")
    expect.set_options(timeout=1000 * PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Visitor]:
    """Whoever it is, the browser has nothing to complain of, and no other host is asked."""
    visitor = Visitor(browser)
    yield visitor
    for context in browser.contexts:
        context.close()
    assert visitor.complaints == []


@pytest.fixture(scope="module")
def service(model_directory: Path) -> Iterator[Service]:
    with serving(settings_of(model_directory, limits=PATIENT)) as running:
        yield running


def settled(page: Page, answers: int) -> None:
    """Wait until so many rounds of answers are shown."""
    page.wait_for_selector(f'#app[data-state="ready"][data-answers="{answers}"]')


def attributes(found: Locator, name: str = "data-item") -> list[str]:
    """Of each element: its item, or what else is asked for."""
    values: list[str] = found.evaluate_all(
        "(nodes, name) => nodes.map((node) => node.getAttribute(name))", name
    )
    return values


def history(page: Page) -> list[str]:
    return attributes(page.get_by_test_id("history-chip"))


def ranking(page: Page) -> list[tuple[str, str]]:
    """The items with their titles, in the order of the ranks that they have."""
    rows = page.get_by_test_id("ranking-item")
    titles = rows.get_by_test_id("ranking-title").all_text_contents()
    assert attributes(rows, "data-rank") == [str(rank) for rank in range(1, len(titles) + 1)]
    return list(zip(attributes(rows), titles, strict=True))


def answered(service: Service, **body: object) -> list[tuple[str, str]]:
    """The same in the answer of the service."""
    found = service.recommend(k=10, **body)["items"]
    assert isinstance(found, list)
    return [(each["item"], each["title"]) for each in found]


def compared(page: Page, side: str) -> list[str]:
    """What one side of the comparison holds."""
    return attributes(page.get_by_test_id(f"comparison-{side}").get_by_role("listitem"))


def tab_to(page: Page, selector: str, key: str = "Tab") -> None:
    """Go on until something has the focus, as people do who use no mouse."""
    for _ in range(100):
        page.keyboard.press(key)
        if page.locator(f"{selector}:focus").count():
            return
    pytest.fail(f"{key} doesn't reach {selector}")


def test_what_is_shown_is_what_the_service_answers_to_the_history(
    service: Service, visitor: Visitor
) -> None:
    page = visitor.open(service, motion=True)
    settled(page, 1)
    assert ranking(page) == answered(service, history=[])
    page.get_by_test_id("search-input").fill("i57")
    expect(page.get_by_test_id("search-option")).to_have_count(1)
    page.get_by_test_id("search-input").press("Enter")
    settled(page, 2)
    suggestion = attributes(page.get_by_test_id("suggestion").first)[0]
    page.get_by_test_id("suggestion").first.click()
    settled(page, 3)
    fourth = ranking(page)[3][0]
    page.get_by_test_id("ranking-add").nth(3).click()
    settled(page, 4)
    assert history(page) == ["i57", suggestion, fourth]
    assert ranking(page) == answered(service, history=history(page))
    assert len(ranking(page)) == 10


def test_the_address_holds_the_history_and_back_undoes(service: Service, visitor: Visitor) -> None:
    page = visitor.open(service)
    for answers in (1, 2, 3):
        settled(page, answers)
        page.get_by_test_id("ranking-add").first.click()
    settled(page, 4)
    picked = history(page)
    assert len(picked) == 3
    assert urlsplit(page.url).fragment == f"history={','.join(picked)}"
    shared = visitor.open(service, page.url)
    settled(shared, 1)
    assert history(shared) == picked
    assert ranking(shared) == ranking(page)
    expect(shared.locator(".chip-title")).to_have_text([f"[item] {item}" for item in picked])
    for left in (2, 1, 0):
        page.go_back()
        settled(page, 7 - left)
        assert history(page) == picked[:left]
        assert ranking(page) == answered(service, history=picked[:left])
    assert urlsplit(page.url).fragment == ""


def test_a_reason_is_that_of_the_answer(service: Service, visitor: Visitor) -> None:
    page = visitor.open(service, f"/#history={','.join(SHARED)}")
    settled(page, 1)
    found = service.recommend(history=SHARED, explain=True)["items"]
    assert isinstance(found, list)
    reasons = page.get_by_test_id("ranking-reason")
    for reason, each in zip(reasons.all_text_contents(), found, strict=True):
        lead = max(each["why"]["history"], key=lambda one: float(one["gain"]))
        near = each["why"]["nearest"]
        told = f"because of {lead['title']} ×" if lead["gain"] > 0.005 else f"like {near['title']}"
        assert reason.startswith(told)
    reasons.first.click()
    opened = page.get_by_test_id("ranking-details").first
    expect(opened).to_be_visible()
    expect(opened.get_by_test_id("why-pick")).to_have_count(len(SHARED))
    parts = opened.get_by_test_id("why-part").all_text_contents()
    shown = [float(part.split(" ")[1].replace("−", "-")) for part in parts]
    assert abs(sum(shown) - found[0]["score"]) < 0.05


def test_all_of_it_can_be_done_by_keyboard(service: Service, visitor: Visitor) -> None:
    page = visitor.open(service)
    keys = page.keyboard
    settled(page, 1)
    keys.press("Tab")
    keys.press("Enter")
    expect(page.locator("#ranking-title")).to_be_focused()  # it skips what stands before
    tab_to(page, "[data-testid=search-input]", "Shift+Tab")
    keys.type("item i5")
    expect(page.get_by_test_id("search-option")).to_have_count(10)
    second = attributes(page.get_by_test_id("search-option"))[1]
    keys.press("ArrowDown")
    keys.press("Enter")
    settled(page, 2)
    tab_to(page, "[data-testid=suggestion]")
    suggestion = attributes(page.locator(":focus"))[0]
    keys.press("Space")
    settled(page, 3)
    tab_to(page, "[data-testid=ranking-add]")
    first = ranking(page)[0][0]
    keys.press("Enter")
    settled(page, 4)
    assert history(page) == [second, suggestion, first]
    tab_to(page, ".chip-grip", "Shift+Tab")
    keys.press("ArrowLeft")
    settled(page, 5)
    assert history(page) == [second, first, suggestion]
    keys.press("Delete")  # the focus stays with the item that moved
    settled(page, 6)
    assert history(page) == [second, suggestion]
    assert ranking(page) == answered(service, history=history(page))
    tab_to(page, "[data-testid=steps-slider]")
    keys.press("Home")
    settled(page, 7)
    assert ranking(page) == answered(service, history=history(page), steps=0)
    tab_to(page, "[data-testid=start-over]", "Shift+Tab")
    keys.press("Enter")
    settled(page, 8)
    assert history(page) == []
    expect(page.get_by_test_id("search-input")).to_be_focused()


def test_the_slider_takes_steps_back_and_the_lists_tell_both(
    service: Service, visitor: Visitor
) -> None:
    without = answered(service, history=SHARED, steps=0)
    adapted = answered(service, history=SHARED)
    assert without != adapted
    page = visitor.open(service, f"/#history={','.join(SHARED)}")
    slider, value = page.get_by_test_id("steps-slider"), page.get_by_test_id("steps-value")
    most = service.context.engine.inner_steps
    settled(page, 1)
    stands = [(0, without, "&steps=0"), (most, adapted, "")]
    for answers, (steps, shown, told) in enumerate(stands, 2):
        slider.fill(str(steps))
        settled(page, answers)
        assert ranking(page) == shown
        assert value.text_content() == f"{steps} of {most}"
        assert urlsplit(page.url).fragment == f"history={','.join(SHARED)}{told}"
        assert compared(page, "before") == [item for item, _ in without]
        assert compared(page, "after") == [item for item, _ in adapted]


def test_the_mixture_and_the_map_tell_where_somebody_stands(
    service: Service, visitor: Visitor
) -> None:
    page = visitor.open(service)
    settled(page, 1)
    person, plane = page.get_by_test_id("map-person"), page.get_by_test_id("map")
    expect(plane).to_have_attribute("data-points", "60")
    expect(plane).to_have_attribute("data-position", "")
    expect(person).to_have_css("opacity", "0")
    page.get_by_test_id("ranking-add").first.click()
    settled(page, 2)
    answer = service.recommend(history=history(page))
    rows = page.get_by_test_id("mixture-row")
    shares = [float(share) for share in attributes(rows, "data-share")]
    assert attributes(rows, "data-cluster") == ["0", "1", "2"]
    assert shares == pytest.approx(answer["clusters"], abs=1e-4)
    expect(person).to_have_css("opacity", "1")
    frame, core = plane.bounding_box(), page.locator(".person-core").bounding_box()
    assert frame is not None
    assert core is not None
    x = (core["x"] + core["width"] / 2 - frame["x"]) / frame["width"]
    y = (core["y"] + core["height"] / 2 - frame["y"]) / frame["height"]
    stands = [(2 * x - 1) * REACH, (1 - 2 * y) * REACH]
    assert stands == pytest.approx(answer["position"], abs=0.02)


def test_a_guarded_service_asks_for_a_key(
    model_directory: Path, tmp_path: Path, visitor: Visitor
) -> None:
    keys = tmp_path / "keys.jsonl"
    right, wrong = add_key(keys, "reader", ["read"]), add_key(keys, "writer", ["events"])
    visitor.expected = ("status of 401", "status of 403")
    with serving(settings_of(model_directory, keys=keys, limits=PATIENT)) as service:
        page = visitor.open(service, f"/#history={','.join(SHARED)}")
        banner, field = page.get_by_test_id("banner"), page.get_by_test_id("api-key")
        expect(banner).to_have_attribute("data-status", "401")
        expect(banner).to_contain_text("asks for an API key")
        for key, status in (("cs_nobody", "401"), (wrong, "403"), ("cs_ключ…", "401")):
            field.fill(key)
            page.get_by_test_id("api-key-submit").click()
            expect(banner).to_contain_text("accept this API key")
            expect(banner).to_have_attribute("data-status", status)
            assert ranking(page) == []
        field.fill(right)
        field.press("Enter")
        settled(page, 1)
        expect(banner).to_be_hidden()
        service.client.headers["Authorization"] = f"Bearer {right}"
        assert ranking(page) == answered(service, history=SHARED)
        assert right not in page.url
        about = visitor.open(service, "/docs").locator("#take_events")
        expect(about).to_contain_text("Needs an API key of the scope events.")


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("address", [f"/#history={','.join(SHARED)},{'unknown' * 30}", "/docs"])
def test_nothing_stands_out_sideways_by_day_and_night(
    service: Service, visitor: Visitor, address: str, width: int
) -> None:
    page = visitor.open(service, address, width)
    page.wait_for_selector('#app[data-state="ready"], #operations > section')
    session = page.context.new_cdp_session(page)
    bright = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        size = session.send("Page.getLayoutMetrics")["cssContentSize"]
        ground = page.locator("body").evaluate("node => getComputedStyle(node).backgroundColor")
        bright[scheme] = sum(map(int, re.findall(r"\d+", ground)[:3])) > 3 * 128
        assert size["width"] == width
    assert bright == {"light": True, "dark": False}


def test_the_documentation_draws_every_operation(service: Service, visitor: Visitor) -> None:
    document = service.client.get("/openapi.json").json()
    expected = {
        each["operationId"]: f"{method.upper()}{path}"
        for path, methods in document["paths"].items()
        for method, each in methods.items()
    }
    page = visitor.open(service, "/docs")
    page.wait_for_selector("section")
    drawn = page.locator("#operations > section")
    headings = drawn.locator("h2").all_text_contents()
    assert dict(zip(attributes(drawn, "id"), headings, strict=True)) == expected
    assert len(headings) == len(expected)
    links = attributes(page.locator("#contents a"), "href")
    assert links == [f"#{name}" for name in attributes(drawn, "id")]
    for taker in ("recommend_one", "recommend_many", "take_events"):
        expect(page.locator(f"#{taker}")).to_contain_text("Body")


def test_the_page_follows_the_model_that_answers(service: Service, visitor: Visitor) -> None:
    """Started while the service was away, it has nothing of a model until an answer comes."""
    visitor.expected = ("net::ERR_FAILED",)
    page = visitor.open(service)
    settled(page, 1)
    page.route("**/v1/**", lambda route: route.abort())
    page.reload()
    expect(page.get_by_test_id("banner")).to_be_visible()
    expect(page.get_by_test_id("suggestion")).to_have_count(0)
    page.unroute("**/v1/**")
    page.evaluate("location.hash = '#history=i01'")
    settled(page, 1)
    expect(page.get_by_test_id("banner")).to_be_hidden()
    expect(page.get_by_test_id("suggestion").first).to_be_visible()
    expect(page.locator("#map-figure")).to_be_visible()
