"""A drawn chart outlives the page it is on."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from cache.store import Store
from tests.browser.driver import Served, moved, points, redrawn, slider, wait_for_chart
from tests.browser.hands import another_point, choose, turn_to

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("path", ["/", "/?y=refusals&z=fluency"])
def test_the_chart_stays_drawn_from_page_to_page(
    shipped: Served, chrome: Browser, path: str
) -> None:
    page = shipped.open(chrome, path)
    revision = wait_for_chart(page)
    page.get_by_text("worker ready").wait_for()
    page.evaluate("window.kept = document.querySelector('.tradeoff')")
    turn_to(page, "Compare")
    page.get_by_text("Nothing to compare yet.").wait_for()
    page.wait_for_selector(".tradeoff", state="detached")
    turn_to(page, "Explore")
    assert wait_for_chart(page) == revision
    assert page.evaluate("window.kept === document.querySelector('.tradeoff')")
    with moved(page, "here"):
        slider(page, "helpful").press("ArrowRight")
    page.wait_for_url("**c=helpful%3A0.51%2C**")
    chosen, other = list(points(page))[:2]
    for point in (chosen, other):  # the new mount hears the click
        page.evaluate(
            "id => window.kept.emit('plotly_click', {points: [{customdata: [id]}]})", arg=point
        )
        expect(page.locator(".readout")).to_contain_text(f"Point {point}")
    with redrawn(page):
        choose(page, "Across", "honesty")
    assert page.complaints == []
    page.context.close()


WATCH = """() => {
    window.seen = [];
    const look = () => {
        const chart = document.querySelector('.tradeoff');
        if (chart?.data) window.seen.push([
            chart.data.flatMap((trace) => trace.customdata || []).length,
            chart.dataset.drawn ?? null,
        ]);
        requestAnimationFrame(look);
    };
    look();
}"""
"""For each frame with a chart: its points, and the revision that it is drawn in."""


def test_points_that_came_meanwhile_follow_what_was_drawn(app: Served, chrome: Browser) -> None:
    page = app.open(chrome)
    revision = wait_for_chart(page)
    before = points(page)
    turn_to(page, "Compare")
    page.wait_for_selector(".tradeoff", state="detached")
    page.evaluate(WATCH)
    with Store.open(app.home) as store:
        store.append(another_point(store, next(iter(before)), 0.12))
        page.get_by_text(f"{len(before) + 1} points", exact=True).wait_for()
    turn_to(page, "Explore")
    page.wait_for_function(
        "old => ![old, undefined].includes(document.querySelector('.tradeoff')?.dataset.drawn)",
        arg=revision,
    )
    seen = page.evaluate("window.seen")
    assert seen[0] == [len(before), None]
    assert seen[-1][0] == len(before) + 1
    assert page.complaints == []
    page.context.close()


LOSE = """times => {
    const send = WebSocket.prototype.send;
    WebSocket.prototype.send = function (message) {
        const text = typeof message === 'string' ? message : new TextDecoder().decode(message);
        if (!text.includes('missing') || times-- <= 0) send.call(this, message);
    };
}"""
"""Loses what the chart asks of the server."""


def test_a_browser_asks_for_what_it_misses_until_it_comes(shipped: Served, chrome: Browser) -> None:
    page = shipped.open(chrome)
    revision = wait_for_chart(page)
    for forget, lost in [
        ("window.paretoscope.frames = {}", 0),
        ("window.paretoscope.frames = {}", 2),
        ("delete window.paretoscope.plotly, delete window.Plotly", 0),
    ]:
        page.evaluate(LOSE, lost)
        turn_to(page, "Compare")
        page.wait_for_selector(".tradeoff", state="detached")
        page.evaluate(forget)
        turn_to(page, "Explore")
        assert wait_for_chart(page) == revision
        page.wait_for_function("window.Plotly && window.paretoscope.plotly")
    page.context.close()


def test_plotly_comes_once_by_its_own_address_and_after_a_fault_again(
    shipped: Served, chrome: Browser
) -> None:
    frames: list[int] = []
    faults = [True, True]

    def prepare(page: Page) -> None:
        page.on(
            "websocket",
            lambda each: each.on("framereceived", lambda payload: frames.append(len(payload))),
        )
        page.route(
            "**/plotly.min.js", lambda r: r.abort() if faults and faults.pop() else r.continue_()
        )

    page = shipped.open(chrome, prepare=prepare)
    wait_for_chart(page)
    assert not faults
    page.unroute_all()  # what is routed is never kept
    page.reload()
    wait_for_chart(page)
    page.reload()
    wait_for_chart(page)
    sent = page.evaluate(
        "performance.getEntriesByType('resource').filter(each => each.name.includes('plotly'))"
        ".map(each => each.transferSize)"
    )
    assert sent == [0], "it was fetched again"
    assert max(frames) < 1_000_000
    assert all("plotly.min.js" in each or "ERR_FAILED" in each for each in page.complaints)
    page.context.close()
