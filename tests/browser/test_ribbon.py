"""Compare along a slider in a real browser: each press of a key is another text."""

from __future__ import annotations

from itertools import pairwise

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.driver import Served
from tests.browser.hands import answer, choose, press

pytestmark = pytest.mark.browser


def said(page: Page) -> list[str]:
    return page.locator(".ribbon .text").all_inner_texts()


def test_the_ribbon_goes_from_text_to_text(app: Served, chrome: Browser) -> None:
    page = app.open(
        chrome, "/compare?points=proxy_tuning(helpful:0.5;harmless:0),base&objective=refusals"
    )
    choose(page, "Slider", "harmless")
    page.get_by_role("button", name="Map", exact=True).click()
    slider = page.locator(".ribbon input")
    slider.wait_for()
    slider.focus()
    slider.press("Home")
    before = said(page)
    ticks = page.locator(".ribbon .strip span").count() - len(before)
    assert ticks > 2
    back, further = (
        page.get_by_role("button", name=f"{each} change") for each in ("Previous", "Next")
    )
    expect(back).to_be_disabled()
    seen = [before]
    while further.is_enabled():
        press(slider, "ArrowRight", 1)
        seen.append(said(page))
    assert all(one != two for one, two in pairwise(seen)) and len(seen) > 3
    back.click()
    assert said(page) == seen[-2]
    value = float(page.locator(".ribbon").get_attribute("data-value") or "nan")
    page.get_by_role("button", name="Add this value as a column").click()
    expect(page.get_by_text(f"harmless {value:.4g}").first).to_be_visible()
    answer(page)
    cells = page.locator(".answers td:nth-child(3) .text")
    assert cells.all_inner_texts() == seen[-2]  # decoded at that value
    page.get_by_role("button", name="Use this value in the sliders").click()
    expect(page.get_by_text("The sliders on Explore are at")).to_be_visible()
    assert page.complaints == []  # type: ignore[attr-defined]
    page.context.close()
