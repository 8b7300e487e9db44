"""The chart's toolbar: every button in every view, and nothing on the network; its pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.driver import Served, kinds, redrawn, wait_for_chart
from tests.browser.hands import choose, measure_vectors

pytestmark = pytest.mark.browser


def press_all(page: Page, chart: str) -> Iterator[str]:
    """The names of the buttons of a chart's toolbar, each pressed."""
    page.hover(chart)
    for button in page.locator(f"{chart} :is(.modebar-btn, .picture)").all():
        name = str(button.get_attribute("aria-label"))
        if name.startswith(("Download the chart", "Download plot")):
            with page.expect_download() as loading:
                button.click()
            taken = Path(loading.value.path()).read_bytes()
            assert taken.startswith(b"<svg" if "SVG" in name else b"\x89PNG"), name
        else:
            button.click()
            if name == "Fullscreen":
                page.locator("[aria-label='Close fullscreen']").click()
        yield name


def links(page: Page) -> list[str]:
    """Where anything on a chart would lead a person to."""
    return [str(each.get_attribute("href")) for each in page.locator(".js-plotly-plot a").all()]


def test_no_button_of_a_view_asks_another_place(shipped: Served, chrome: Browser) -> None:
    page = shipped.open(chrome)
    opened: list[str] = []
    page.context.on("page", lambda other: opened.append(other.url))
    wait_for_chart(page)
    seen = []
    for turn in (None, "Curve", "Surface", "Parallel", "Trade-off"):
        if turn is not None:
            with redrawn(page):
                page.get_by_role("radio", name=turn).click()
        if turn == "Trade-off":
            with redrawn(page):
                choose(page, "Depth", "fluency")
        chart = ".parallel" if turn == "Parallel" else ".tradeoff"
        names = list(press_all(page, chart))
        assert {"Download the chart as PNG", "Download the chart as SVG"} <= set(names)
        assert not [each for each in names if "share" in each.lower() or "cloud" in each.lower()]
        expect(page.locator(".plotly-cloud-dialog-box")).to_have_count(0)
        assert (opened, [each for each in links(page) if each not in ("None", "")]) == ([], [])
        seen += kinds(page) if chart == ".tradeoff" else ()
    assert {"scatter", "contour", "scatter3d"} <= set(seen)
    assert page.complaints == []
    page.context.close()


def test_the_toolbar_lies_over_nothing_that_is_drawn(shipped: Served, chrome: Browser) -> None:
    page = shipped.open(chrome)
    wait_for_chart(page)
    bar = page.locator(".tradeoff .modebar").bounding_box()
    legend = page.locator(".tradeoff .legend").bounding_box()
    assert bar is not None and legend is not None
    assert bar["y"] + bar["height"] <= legend["y"]
    page.context.close()


DRAWN = (".modebar", ".heatmaplayer", ".cbtitle")


def test_no_button_of_a_chart_of_the_models_asks_another_place(
    app: Served, chrome: Browser
) -> None:
    page = app.open(chrome, "/models")
    page.get_by_role("tab", name="Task vectors").click()
    measure_vectors(page)
    for chart in (".st-key-norms", ".st-key-cosines"):
        page.locator(f"{chart} .js-plotly-plot").wait_for()
        drawn = [page.locator(f"{chart} {each}").first for each in DRAWN]
        bar, cells, title = (each.bounding_box() for each in drawn)
        assert bar and cells and title
        assert bar["y"] + bar["height"] <= min(cells["y"], title["y"]) + 1
        names = list(press_all(page, f"{chart} .js-plotly-plot"))
        assert names and not [each for each in names if "share" in each.lower()]
    assert page.complaints == []
    page.context.close()


def test_the_chart_grows_with_the_window(shipped: Served, chrome: Browser) -> None:
    page = shipped.open(chrome)
    wait_for_chart(page)
    page.set_viewport_size({"width": 1280, "height": 1000})
    page.wait_for_function("document.querySelector('.tradeoff')._fullLayout.height === 694")
    page.set_viewport_size({"width": 1280, "height": 720})
    page.wait_for_function("document.querySelector('.tradeoff')._fullLayout.height === 414")
    page.context.close()
