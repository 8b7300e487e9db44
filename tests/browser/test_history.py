"""Back and forward in a real browser: through what a person did, and nothing else."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.driver import Served, slider, wait_for_chart
from tests.browser.hands import choose, press, turn_to

pytestmark = pytest.mark.browser


def entries(page: Page) -> int:
    return int(page.evaluate("history.length"))


def helpful(page: Page, value: float) -> None:
    """Wait until the recipe in hand has this coefficient."""
    page.wait_for_function(
        "value => Math.abs(JSON.parse(document.querySelector('.readout')?.dataset.recipe || '{}')"
        ".coefficients?.helpful - value) < 1e-9",
        arg=value,
    )


def up(page: Page, objective: str) -> None:
    """Wait until this objective is on the upright axis, in the address and on the chart."""
    page.wait_for_function(
        "name => new URLSearchParams(location.search).get('y') === name"
        " && document.querySelector('.tradeoff')?.layout?.yaxis?.title?.text?.startsWith(name)",
        arg=objective,
    )


def test_back_from_a_measured_point_leaves_it(shipped: Served, chrome: Browser) -> None:
    page = shipped.open(chrome)
    wait_for_chart(page)
    page.get_by_text("worker ready").wait_for()
    press(slider(page, "harmless"), "ArrowRight", 1)
    page.wait_for_function("location.search.includes('harmless%3A0.51')")
    page.get_by_role("button", name="Evaluate", exact=True).click()
    page.wait_for_function("location.search.includes('point=')")
    page.get_by_role("button", name="Reset", exact=True).click()
    page.wait_for_function("location.search.includes('harmless%3A0.5%2C')")
    expect(slider(page, "harmless")).to_have_value("0.5")  # the slider that Reset put there
    press(slider(page, "harmless"), "ArrowRight", 1)
    page.wait_for_function("location.search.includes('point=')")

    page.go_back()
    page.wait_for_function("!location.search.includes('point=')")
    expect(slider(page, "harmless")).to_have_value("0.5")
    assert page.complaints == []  # type: ignore[attr-defined]
    page.context.close()


def test_back_and_forward_go_through_what_was_done(shipped: Served, chrome: Browser) -> None:
    page = shipped.open(chrome)
    wait_for_chart(page)
    page.get_by_text("worker ready").wait_for()
    page.wait_for_function("location.search.includes('method=')")
    loaded = entries(page)
    assert loaded <= 2  # the browser's empty page, and this one

    press(slider(page, "helpful"), "ArrowRight", 8)
    helpful(page, 0.58)
    page.wait_for_function("location.search.includes('helpful%3A0.58')")
    assert entries(page) == loaded + 1  # eight steps of a slider are one thing done
    choose(page, "Up", "Up: fluency")
    up(page, "fluency")
    turn_to(page, "Compare")
    page.get_by_text("worker ready").wait_for()
    assert entries(page) == loaded + 3

    page.go_back()
    wait_for_chart(page)
    helpful(page, 0.58)
    up(page, "fluency")
    page.go_back()
    up(page, "honesty")
    helpful(page, 0.58)
    page.go_back()
    helpful(page, 0.5)
    expect(slider(page, "helpful")).to_have_value("0.5")
    page.go_forward()
    helpful(page, 0.58)
    expect(slider(page, "helpful")).to_have_value("0.58")
    page.go_forward()
    up(page, "fluency")
    page.go_forward()
    page.wait_for_url("**/compare?**")
    assert page.complaints == []  # type: ignore[attr-defined]
    page.context.close()
