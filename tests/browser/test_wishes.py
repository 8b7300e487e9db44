"""Constraints, trades and utility on the Preference tab of Explore, over the demo's points."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.driver import Served, wait_for_chart

pytestmark = pytest.mark.browser

PICK = "old => document.querySelector('.picked').dataset.point !== old"


def write(page: Page, label: str, text: str) -> None:
    page.get_by_label(label, exact=True).fill(text)
    page.get_by_label(label, exact=True).press("Control+Enter")


def picked(page: Page) -> str:
    expect(page.locator(".picked")).to_have_count(1)  # that of the hidden tab has left
    return str(page.locator(".picked").get_attribute("data-point"))


def prefer(page: Page) -> None:
    wait_for_chart(page)
    page.get_by_role("tab", name="Preference").click()
    page.wait_for_selector(".st-key-take")


def test_a_constraint_moves_the_pick_and_outlives_a_reload(
    shipped: Served, chrome: Browser
) -> None:
    """One that cannot be read is said below its field, and the pick stays."""
    page = shipped.open(chrome, "/?over=facts,refusals", color_scheme="dark")
    prefer(page)
    first = picked(page)
    page.get_by_text("Constraints, trades, utility", exact=True).click()
    write(page, "Constraints", "refusals - facts >= 0.2")
    page.wait_for_function(PICK, arg=first)
    bound = picked(page)

    page.reload()
    prefer(page)
    page.get_by_text("Constraints, trades, utility (1)", exact=True).click()
    field = page.get_by_label("Constraints", exact=True)
    expect(field).to_have_value("refusals - facts >= 0.2")
    assert picked(page) == bound

    write(page, "Constraints", "refusals - facts >= 0.2\nrefusals > nothing")
    panel = page.locator(".st-key-wishes_panel")
    expect(panel.get_by_text("Constraints:").first).to_be_visible()
    expect(field).to_have_value("refusals - facts >= 0.2\nrefusals > nothing")
    assert picked(page) == bound

    write(page, "Constraints", "facts + refusals >= 9")
    expect(page.locator(".st-key-unmet")).to_contain_text("facts + refusals at least 9")
    assert page.complaints == []  # type: ignore[attr-defined]
    page.context.close()
