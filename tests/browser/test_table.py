"""The table of points, by mouse: a click anywhere on a row, on the chart, on a header."""

from __future__ import annotations

import contextlib
import re

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.driver import POINT_ON_SCREEN, Served, points, slider, wait_for_chart

pytestmark = pytest.mark.browser

HEAD, ROW = 36, 35
"""Pixels of the header and of a row."""


def grid(page: Page) -> Locator:
    """What the table says of itself to those who do not see it."""
    return page.locator(".st-key-table table[role=grid]")


def column(page: Page, name: str) -> list[str]:
    """What stands in a column, from the top, of the rows in sight."""
    heads = grid(page).locator("th").all_text_contents()
    [place] = [place for place, head in enumerate(heads) if name in head]  # an arrow is before it
    rows = grid(page).locator("tbody tr").all()
    return [each.locator("td").nth(place).text_content() or "" for each in rows]


def marked(page: Page) -> Locator:
    return grid(page).locator("tbody tr[aria-selected=true]")


def read_point(page: Page) -> str:
    """The point that stands beside the sliders."""
    found = re.search(r"Point (\w+)", page.locator(".readout").inner_text())
    assert found is not None
    return found[1]


def press(page: Page, across: float, row: int) -> None:
    """Click into the table; row -1 is the header."""
    box = page.locator(".st-key-table canvas").first.bounding_box()
    assert box is not None
    down = HEAD / 2 if row < 0 else HEAD + ROW * (row + 0.5)
    page.mouse.click(box["x"] + across, box["y"] + down)


def sort_by(page: Page, name: str) -> None:
    """Click the header of a column, wherever it lies now: an arrow comes to stand before its name.
    A wide column takes the first of the clicks, and its next neighbour the first that is beyond."""
    for across in range(110, 600, 18):
        press(page, across, -1)
        with contextlib.suppress(AssertionError):
            head = grid(page).locator("th").filter(has_text=name)
            expect(head).not_to_have_text(name, timeout=500)
            return
    raise AssertionError(f"no column {name} is in sight")


def test_a_row_is_chosen_anywhere_and_by_the_chart(shipped: Served, chrome: Browser) -> None:
    page = shipped.open(chrome)
    wait_for_chart(page)
    page.get_by_text("worker ready").wait_for()
    selected = page.locator(".st-key-selected_point")
    expect(selected).to_contain_text("Click a row or a mark in the chart")
    grid(page).wait_for(state="attached")
    page.locator(".st-key-table").scroll_into_view_if_needed()
    chosen = []
    for row, across in ((2, 300), (4, 500), (1, 20)):  # on a score, on another, on the box
        press(page, across, row)
        expect(marked(page)).to_have_attribute("aria-rowindex", str(row + 2))
        expect(marked(page)).to_have_count(1)
        expect(page.locator(".readout")).to_contain_text("Point ")
        for each in chosen:
            expect(page.locator(".readout")).not_to_contain_text(each)
        point = read_point(page)
        expect(selected).to_contain_text(f"point {point}")
        page.wait_for_url(f"**point={point}**")
        chosen.append(point)
    assert len(set(chosen)) == 3
    page.locator(".st-key-table").hover()
    toolbar = page.locator(".st-key-table [data-testid=stElementToolbar]").bounding_box()
    button = page.get_by_role("button", name="Name and note").bounding_box()
    assert toolbar is not None and button is not None
    assert button["x"] + button["width"] <= toolbar["x"]

    named = points(page)
    other = next(each for each in named if "models" in named[each] and each not in chosen)
    page.locator("[data-testid=stMain]").evaluate("each => each.scrollTo(0, 0)")
    x, y = page.evaluate(POINT_ON_SCREEN, other)
    page.mouse.move(x, y)
    page.wait_for_selector(".tradeoff .hoverlayer .hovertext")
    for mark in page.locator(".mark").all():
        expect(mark).to_have_css("opacity", "0.12")  # what the chart says is read through them
    page.mouse.click(x, y)
    expect(selected).not_to_contain_text(chosen[-1])
    expect(page.locator(".readout")).not_to_contain_text(chosen[-1])
    point = read_point(page)
    expect(selected).to_contain_text(f"point {point}")

    slider(page, "helpful").press("ArrowRight")
    expect(selected).to_contain_text("Click a row or a mark in the chart")
    expect(marked(page)).to_have_count(0)
    assert page.complaints == []
    page.context.close()


def test_a_header_sorts_by_number(shipped: Served, chrome: Browser) -> None:
    page = shipped.open(chrome)
    wait_for_chart(page)
    page.locator(".st-key-table").scroll_into_view_if_needed()
    grid(page).wait_for(state="attached")
    head = grid(page).locator("th").all_text_contents()
    assert head.index("facts ↑") < head.index("refusals ↑")
    first = column(page, "facts ↑")[0]
    sort_by(page, "facts ↑")
    expect(grid(page).locator("tbody tr").first.locator("td").nth(2)).not_to_have_text(first)
    values = [float(each) for each in column(page, "facts ↑")]
    assert values == sorted(values) and values[0] != values[-1]
    assert page.complaints == []
    page.context.close()


def test_the_limits_of_a_slider_leave_the_next_label_free(shipped: Served, chrome: Browser) -> None:
    page = shipped.open(chrome)
    wait_for_chart(page)
    sliders = page.locator(".st-key-controls [data-testid=stSlider]:visible")
    sliders.first.hover()
    limit = sliders.first.locator("[data-testid=stSliderTickBar] p").first
    expect(limit).to_be_visible()
    low, label = limit.bounding_box(), sliders.nth(1).locator("label p").bounding_box()
    assert low is not None and label is not None
    track = sliders.first.locator("[role=group]").bounding_box()
    assert track is not None
    assert track["y"] + track["height"] / 2 < low["y"]
    assert low["y"] + low["height"] <= label["y"]
    page.context.close()
