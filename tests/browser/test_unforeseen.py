"""An error that no page foresaw, in a real browser: our own words, never Streamlit's box."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.driver import Served, slider, wait_for_chart

pytestmark = pytest.mark.browser

RAISING = Path(__file__).parent / "raising"


@pytest.fixture(scope="module")
def faulty(chrome: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The shipped study, served with faults where an address asks for one."""
    home = tmp_path_factory.mktemp("faulty")
    with Served(None, home, device="cpu", environment={"PYTHONPATH": str(RAISING)}) as served:
        yield served


def told(page: Page, place: str) -> None:
    """The error stands on the page, as text, with ways on that stay on this server."""
    expect(page.get_by_text("Something unexpected happened here.")).to_have_count(1)
    expect(page.get_by_text(f"ZeroDivisionError: a fault in a {place}\\x1b[2J <b>of</b>").first)\
        .to_be_visible()  # fmt: skip
    expect(page.get_by_text("Points measured so far are safe")).to_be_visible()
    page.get_by_text("Details to copy").click()
    expect(page.get_by_text("Traceback (most recent call last)")).to_be_visible()
    expect(page.get_by_text("in faulty")).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)
    links = page.evaluate("[...document.links].map(each => new URL(each.href).origin)")
    assert set(links) == {page.evaluate("location.origin")}


BROKEN = """Object.defineProperty(window, 'paretoscope', {
    get() { throw new Error('a fault in a component <b>of</b> ours'); } });"""


def test_a_component_that_fails_says_so_in_its_place(faulty: Served, chrome: Browser) -> None:
    page = faulty.open(chrome, "/explore", prepare=lambda each: each.add_init_script(BROKEN))
    told = page.get_by_role("alert").filter(has_text="This part of the page failed")
    expect(told.first).to_be_visible()
    expect(told.first).to_contain_text("a fault in a component <b>of</b> ours")
    expect(page.get_by_text("BidiComponent")).to_have_count(0)
    header = page.locator(".st-key-top_line").bounding_box()
    box = told.first.bounding_box()
    assert header is not None and box is not None
    assert box["y"] >= header["y"] + header["height"], "what draws nothing stands on nothing"
    expect(slider(page, "helpful")).to_be_visible()
    page.context.close()


def test_a_page_and_a_fragment_that_raise(faulty: Served, chrome: Browser) -> None:
    page = faulty.open(chrome, "/explore?fault=page")
    told(page, "page")
    page.get_by_role("link", name="Open another study").click()
    expect(page.get_by_role("tab", name="Task vectors")).to_be_visible()
    page.context.close()

    page = faulty.open(chrome, "/explore?fault=fragment")
    wait_for_chart(page)
    handle = slider(page, "helpful")
    handle.press("ArrowRight")  # the first move of all draws the page again, for the list of steps
    page.locator(".first-steps [data-taken=true]").first.wait_for()
    handle.press("ArrowRight")
    told(page, "fragment")
    assert wait_for_chart(page), "what did not fail is still there"
    page.context.close()


def test_a_callback_that_raises_leaves_the_page_as_it_is(faulty: Served, chrome: Browser) -> None:
    page = faulty.open(chrome, "/explore?fault=callback")
    wait_for_chart(page)
    page.get_by_role("button", name="Compare", exact=True).click()
    told(page, "callback")
    for _ in range(3):  # runs of a fragment
        page.evaluate("window.paretoscope.live.answered.before = true")
        slider(page, "helpful").press("ArrowRight")
        page.wait_for_function("!window.paretoscope.live.answered.before")
    told_still = page.get_by_text("a fault in a callback").first
    expect(told_still).to_be_visible()
    assert wait_for_chart(page) and slider(page, "helpful").is_visible()
    page.get_by_role("button", name="Close", exact=True).click()
    expect(page.get_by_text("Something happened here")).to_have_count(0)
    assert wait_for_chart(page)
    page.context.close()

    log = faulty.log.read_text()
    for place in ("page", "fragment", "callback"):
        assert f"ZeroDivisionError: a fault in a {place}" in log
