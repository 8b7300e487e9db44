"""The curve by mouse and keys: the ring follows the slider, one objective is a chart of its own."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.driver import Served, moved, redrawn, slider, wait_for_chart

pytestmark = pytest.mark.browser

RING = """() => {
    const chart = document.querySelector('.tradeoff'), { xaxis, yaxis } = chart._fullLayout;
    const ring = document.querySelector('.mark.here b').getBoundingClientRect();
    const frame = chart.getBoundingClientRect();
    const x = ring.x + ring.width / 2 - frame.x - xaxis._offset;
    const y = ring.y + ring.height / 2 - frame.y - yaxis._offset;
    return [xaxis.p2d(x), yaxis.p2d(y)];
}"""
"""What the axes say where the ring stands."""


def test_the_ring_follows_the_slider_along_the_predicted_line(
    shipped: Served, chrome: Browser
) -> None:
    page = shipped.open(chrome, "/?view=curve&across=honest&method=task_arithmetic")
    wait_for_chart(page)
    expect(page.locator(".mark.here")).to_have_attribute("data-kind", "predicted")
    with moved(page, "here"):
        slider(page, "honest").press("ArrowRight")
    across, up = page.evaluate(RING)
    value = float(slider(page, "honest").input_value())
    assert across == pytest.approx(value, abs=0.01)
    predicted = page.evaluate(
        "x => { const { data } = document.querySelector('.tradeoff');"
        " const line = data.find(({ name }) => name === 'predicted');"
        " return line.y[line.x.findIndex((at) => at >= x - 1e-9)]; }",
        value,
    )
    assert up == pytest.approx(predicted, abs=0.02)
    with redrawn(page):  # another line: this coefficient is held
        slider(page, "helpful").press("ArrowRight")
    assert page.complaints == []
    page.context.close()


def test_a_share_is_where_the_ring_of_a_mixture_of_shares_stands(
    shipped: Served, chrome: Browser
) -> None:
    page = shipped.open(chrome, "/?view=curve&across=helpful&method=linear")
    wait_for_chart(page)
    page.wait_for_selector(".mark.here:not([hidden])", state="attached")
    names = ("base", "helpful", "harmless", "honest")
    values = [float(slider(page, name).input_value()) for name in names]
    assert page.evaluate(RING)[0] == pytest.approx(values[1] / sum(values), abs=0.01)
    assert page.complaints == []
    page.context.close()
