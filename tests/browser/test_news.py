"""What changes on the server comes to the browser, which asks for nothing meanwhile."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.driver import Served, wait_for_chart

pytestmark = pytest.mark.browser

COUNT = re.compile(r"^\d+ points$")


def test_a_page_left_alone_sends_nothing_and_hears_of_others(
    shipped: Served, chrome: Browser
) -> None:
    sent: list[Any] = []

    def listen(page: Page) -> None:
        page.on(
            "websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame))
        )

    page = shipped.open(chrome, prepare=listen)
    wait_for_chart(page)
    page.get_by_text("worker ready").wait_for()
    page.wait_for_function("window.paretoscope.live?.answered")
    while True:  # until what the start brought has been drawn
        before = len(sent)
        page.wait_for_timeout(1500)
        if len(sent) == before:
            break
    page.wait_for_timeout(2500)
    assert len(sent) == before, "a page that nobody touches asks for nothing"

    counts = page.locator(".st-key-study_header").get_by_text(COUNT)
    there = int(counts.inner_text().split()[0])
    other = shipped.open(
        chrome, "/?method=task_arithmetic&c=helpful:0.47,harmless:0.63,honest:0.11"
    )
    other.get_by_role("button", name="Evaluate").click()
    expect(counts).to_have_text(f"{there + 1} points")
    assert page.complaints == other.complaints == []  # type: ignore[attr-defined]
    other.context.close()
    page.context.close()
