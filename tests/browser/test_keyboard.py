"""From the address to a verified export with the keyboard alone: no mouse, no focus put by code."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.driver import Served, moved, wait_for_chart

pytestmark = pytest.mark.browser

FAR = 120
"""Presses of Tab after which a thing counts as out of reach."""

ROLES = {"A": "link", "BUTTON": "button", "range": "slider", "number": "spinbutton"}
"""Of an input by its type, of any other element by its tag."""

FOCUSED = """(roles) => {
    const at = document.activeElement;
    const label = at.getAttribute('aria-label') || at.innerText || '';
    const role = at.getAttribute('role') || roles[at.type] || roles[at.tagName] || '';
    return [role, label.replace(/\\s+/g, ' ').trim()];
}"""


def focused(page: Page) -> tuple[str, str]:
    """Role and name of what has the focus."""
    role, name = page.evaluate(FOCUSED, ROLES)
    return role, name


def tab_to(page: Page, role: str, name: str, key: str = "Tab") -> None:
    """Press Tab until something of this role has the focus whose name holds `name` as a word."""
    wanted = re.compile(rf"(^|\W|_){re.escape(name)}(\W|$)")
    passed = []
    for _ in range(FAR):
        page.keyboard.press(key)
        now = focused(page)
        if now[0] == role and wanted.search(now[1]):
            return
        passed.append(now)
    raise AssertionError(f"{role} {name!r} is out of reach of the keyboard; passed {passed}")


def test_from_the_address_to_an_export_by_keyboard(shipped: Served, chrome: Browser) -> None:
    page = shipped.open(chrome, "/?y=refusals&z=fluency&over=facts,refusals,fluency")
    readout = page.locator(".readout")
    wait_for_chart(page)
    page.get_by_text("worker ready").wait_for()

    tab_to(page, "slider", "helpful")
    with moved(page, "here"):
        page.keyboard.press("ArrowRight")
    expect(readout).to_contain_text("Predicted, not measured")
    expect(readout).to_have_attribute("data-recipe", re.compile(r'"helpful":0\.51'))
    tab_to(page, "button", "Evaluate")
    page.keyboard.press("Enter")
    page.wait_for_selector(".readout .title.whole")

    tab_to(page, "tab", "Recipe", key="Shift+Tab")
    page.keyboard.press("ArrowRight")
    page.locator(".st-key-weights input[type=range]").first.wait_for()
    assert focused(page) == ("tab", "Preference")
    tab_to(page, "slider", "refusals")
    for _ in range(8):
        page.keyboard.press("ArrowLeft")
    weight = page.locator('.st-key-weights input[aria-label^="refusals"]')
    expect(weight).to_have_value("0.25")
    tab_to(page, "button", "Lock refusals")
    page.keyboard.press("Space")
    expect(weight).to_be_disabled()

    tab_to(page, "slider", "Preference between facts, refusals, fluency")
    expect(page.locator(".picked")).to_have_count(1)  # that of the hidden tab has left
    before = page.locator(".picked").get_attribute("data-point")
    for _ in range(FAR):
        page.keyboard.press("ArrowUp")
    page.wait_for_function(
        "old => document.querySelector('.picked').dataset.point !== old", arg=before
    )
    facts = page.locator('.st-key-weights input[aria-label^="facts"]')
    expect(facts).to_have_value("0.75")
    expect(weight).to_have_value("0.25")
    pick = str(page.locator(".picked").get_attribute("data-point"))

    tab_to(page, "button", "Compare")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="In tray")).to_be_visible()
    tab_to(page, "button", "Use this recipe", key="Shift+Tab")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**point={pick}**")

    tab_to(page, "link", "Compare")
    page.keyboard.press("Enter")
    page.wait_for_url("**/compare**")
    tab_to(page, "button", "Answer")
    page.keyboard.press("Enter")
    page.get_by_text("Answered.").wait_for()

    tab_to(page, "link", "Export")
    page.keyboard.press("Enter")
    page.wait_for_url("**/export**")
    page.get_by_role("button", name="Export", exact=True).wait_for()
    tab_to(page, "button", "Export")
    page.keyboard.press("Enter")
    page.get_by_text("Exported.").wait_for()
    expect(page.get_by_text("Verified")).to_be_visible()
    assert page.complaints == []
    page.context.close()
