"""The sliders of bands of layers, and what the browser takes them for before Python answers."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.driver import Served, slider, wait_for_chart

pytestmark = pytest.mark.browser

BANDS = "helpful@1:0.2,helpful@2:0.6,harmless@1:0.3,harmless@2:0.3,honest@1:0.1,honest@2:0.9"

RECORD = """() => {
    const live = window.paretoscope.live;
    window.asked = [];
    live.predict = (values) => { window.asked.push(values); return null; };
}"""
SLIDERS = "window.paretoscope.live.sliders()"


def test_bands_follow_their_model_s_slider_in_the_browser(shipped: Served, chrome: Browser) -> None:
    page = shipped.open(chrome, f"/?method=task_arithmetic&c={BANDS}&p=groups:2")
    wait_for_chart(page)
    expect(slider(page, "helpful")).to_have_value("0.4")
    evaluate = page.get_by_role("button", name="Evaluate", exact=True)
    expect(evaluate).to_be_in_viewport(ratio=1)
    page.wait_for_function("Object.keys(window.paretoscope?.live?.answered?.mains ?? {}).length")
    found = page.evaluate(SLIDERS)
    assert (found["helpful@1"], found["helpful@2"], found["honest@2"]) == (0.2, 0.6, 0.9)
    page.evaluate(RECORD)
    slider(page, "helpful").press("ArrowRight")
    page.wait_for_function("window.asked.length")
    first = page.evaluate("window.asked[0]")
    assert first["helpful@1"] == first["helpful@2"] == first["helpful"] == 0.41
    assert (first["honest@1"], first["honest@2"]) == (0.1, 0.9)
    page.wait_for_url("**0.41**")
    page.get_by_text("by depth: 0.41").click()
    expect(evaluate).to_be_in_viewport(ratio=1)
    expect(slider(page, "helpful@2")).to_have_value("0.41")
    slider(page, "helpful@2").press("ArrowRight")
    page.get_by_text("by depth: 0.41 · 0.42").wait_for()
    expect(slider(page, "helpful@2")).to_be_focused()
    assert page.complaints == []
    page.context.close()
