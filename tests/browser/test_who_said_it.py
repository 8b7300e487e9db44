"""Who said it in a real browser: tinted tokens that stay text, their numbers by mouse or key."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.driver import Served
from tests.browser.hands import answer
from ui.components import script

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)><b>bold</b>"
DATA = {
    "heads": [["A", "done"]],
    "rows": [{"prompt": HOSTILE, "fold": False, "target": "", "cells": [{
        "pieces": [
            ["same", HOSTILE, {"who": 0, "size": 0.5, "words": f"without {HOSTILE} 0.1"}],
            ["same", "\n it", {"who": None, "size": 0.0, "words": "second"}],
            ["same", " is", {"who": 6, "size": 1.0, "words": "third"}],
        ], "note": HOSTILE, "verdict": ""}]}],
    "lines": 2, "writing": False, "who": {"names": [HOSTILE, "b"], "words": "said"},
}  # fmt: skip
PAINT = """async ([text, data]) => {
    const url = URL.createObjectURL(new Blob([text], { type: 'text/javascript' }));
    const paint = (await import(url)).default;
    paint({ data, parentElement: document.querySelector('div') });
}"""
COMPARED = (
    "/compare?points=proxy_tuning(helpful:1;honest:1),task_arithmetic(helpful:1),"
    "logit_fusion(helpful:0.5;honest:0.5)"
)


def test_tokens_names_and_numbers_stay_text_and_keys_reach_them(chrome: Browser) -> None:
    page = chrome.new_context().new_page()
    page.set_content('<div><table class="answers"></table></div>')
    page.evaluate(PAINT, [script("answers"), DATA])
    text, tip = page.locator(".answers .text"), page.get_by_role("tooltip")
    assert text.text_content() == f"{HOSTILE}\n it is"
    expect(page.locator(".answers caption")).to_have_text(f"{HOSTILE} b said")
    expect(page.locator("img, .text b, caption b")).to_have_count(0)
    expect(page.locator(".text .who")).to_have_count(2)
    expect(tip).to_have_count(0)

    text.focus()
    said = []
    for key in ("ArrowRight", "ArrowRight", "End", "ArrowRight", "Home"):
        page.keyboard.press(key)
        said.append(tip.text_content())
    assert said == [f"without {HOSTILE} 0.1", "second", "third", "third", f"without {HOSTILE} 0.1"]
    expect(page.locator(":focus")).to_have_attribute(
        "aria-describedby", tip.get_attribute("id") or ""
    )
    page.keyboard.press("Escape")
    expect(tip).to_have_count(0)
    page.locator(".text .token").nth(2).hover()
    expect(tip).to_have_text("third")

    page.evaluate(PAINT, [script("answers"), {**DATA, "who": None}])
    expect(page.locator(".answers caption")).to_have_count(0)
    expect(page.get_by_role("tooltip")).to_have_count(0)
    page.context.close()


def test_the_switch_tints_the_answers_of_mixtures(app: Served, chrome: Browser) -> None:
    page = app.open(chrome, COMPARED)
    answer(page)
    texts = page.locator(".answers td .text")
    before = texts.all_text_contents()
    switch = page.get_by_role("switch", name="Who said it").or_(
        page.get_by_role("checkbox", name="Who said it")
    )
    switch.press("Space")
    caption = page.locator(".answers caption")
    expect(caption).to_contain_text("helpful harmless honest")
    expect(page.locator(".answers .token")).not_to_have_count(0)
    assert texts.all_text_contents() == before
    expect(page.locator(".answers td:nth-child(2) .token")).to_have_count(0)
    expect(page.locator(".answers td:nth-child(2) .note").first).to_contain_text(
        "merged into one model: there is nothing to attribute"
    )
    page.locator(".answers td:nth-child(3) .token").first.hover()
    tip = page.get_by_role("tooltip").filter(has_text="probability")
    expect(tip).to_contain_text("without helpful 0.")
    switch.press("Space")
    expect(page.locator(".answers .token, .answers caption")).to_have_count(0)
    assert texts.all_text_contents() == before and page.complaints == []
    page.context.close()
