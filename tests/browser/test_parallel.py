"""Parallel axes by hand and by keys: ranges, bounds made of them, order, lines, recipe and pick."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.driver import Served, points, redrawn, slider, wait_for_chart

pytestmark = pytest.mark.browser


def names(page: Page) -> list[str]:
    """The axes from left to right, as they stand on the screen."""
    found = page.locator(".parallel .axis").evaluate_all(
        "all => all.map(each => [each.getBoundingClientRect().left, each.dataset.name])"
    )
    return [name for _, name in sorted(found)]


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=6)
    page.mouse.up()


def brush(page: Page, name: str, low: float, high: float) -> None:
    """Drag along an axis, from one height to another, 0 at the bottom and 1 at the top."""
    box = page.locator(f'.axis[data-name="{name}"] .rail').bounding_box()
    assert box is not None
    x, y = (
        box["x"] + box["width"] / 2,
        lambda share: box["y"] + 5 + (1 - share) * (box["height"] - 10),
    )
    drag(page, (x, y(low)), (x, y(high)))


def carry(page: Page, name: str, to: str) -> None:
    """Drag an axis by its name to the place of another."""
    boxes = [page.locator(f'.axis[data-name="{each}"] .name').bounding_box() for each in (name, to)]
    (start, end) = ((each["x"] + each["width"] / 2, each["y"] + 8) for each in boxes if each)
    drag(page, start, end)


def counted(page: Page) -> tuple[int, int]:
    """How many points are said to be left, and of how many."""
    said = page.locator(".parallel .words").inner_text()
    found = re.match(r"([\d,]+) of ([\d,]+) points within the ranges", said)
    assert found, said
    left, all_of = (int(each.replace(",", "")) for each in found.groups())
    return left, all_of


def values(page: Page, name: str) -> dict[str, float]:
    """Point -> its value on an axis, as the page has it."""
    found: dict[str, float] = page.evaluate(
        """name => {
            const { figure } = document.querySelector('.parallel').view;
            const axis = figure.axes.find((each) => each.name === name);
            return Object.fromEntries(figure.ids.map((id, line) => [id, axis.values[line]]));
        }""",
        name,
    )
    return found


def asked(page: Page, name: str) -> str | None:
    return parse_qs(urlsplit(page.url).query).get(name, [None])[0]


def test_a_range_says_how_many_points_are_left_and_becomes_a_bound(
    shipped: Served, chrome: Browser
) -> None:
    page = shipped.open(chrome, "/?view=parallel")
    wait_for_chart(page)
    facts = values(page, "facts")
    brush(page, "facts", 0.5, 0.9)
    left, every = counted(page)
    assert 0 < left < every == len(facts)
    ends = page.locator('.axis[data-name="facts"] [role=slider]')
    low, high = (float(each.get_attribute("aria-valuenow")) for each in ends.all())
    assert left == sum(low <= each <= high for each in facts.values())
    brush(page, "honesty", 0.05, 0.6)  # a second one leaves fewer
    assert counted(page)[0] < left
    box = page.locator('.axis[data-name="honesty"] .rail').bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 11, box["y"] + 10)  # beside its range: gone
    assert counted(page)[0] == left
    with redrawn(page):
        page.get_by_role("button", name="Make bounds of these ranges").click()
    expect(page.get_by_role("button", name="Bounds (1)")).to_be_visible()
    assert asked(page, "bounds") == f"facts:{low:.6g}..{high:.6g}"
    assert len(points(page)) == left
    expect(page.get_by_role("button", name="Clear ranges")).to_be_hidden()
    page.get_by_role("tab", name="Preference").click()
    said = f"{every - left} points do not meet the bounds"
    expect(page.get_by_text(said)).to_be_visible()
    assert page.complaints == []  # type: ignore[attr-defined]
    page.context.close()


def test_an_axis_that_is_dragged_stays_there_from_run_to_run(
    shipped: Served, chrome: Browser
) -> None:
    page = shipped.open(chrome, "/?view=parallel")
    wait_for_chart(page)
    before = names(page)
    moved = [*before[1:4], before[0], *before[4:]]
    carry(page, before[0], before[3])
    assert names(page) == moved
    page.wait_for_url(f"**axes={'%2C'.join(moved)}**")
    page.get_by_role("radio", name="Trade-off").click()
    page.wait_for_selector(".tradeoff[data-drawn]")
    page.get_by_role("radio", name="Parallel").click()
    page.wait_for_selector(".parallel[data-drawn]")
    assert names(page) == moved
    page.get_by_role("button", name="Show", exact=True).click()
    tags = page.locator(".stMultiSelect [data-tag], .stMultiSelect [data-baseweb=tag]")
    expect(tags).to_have_count(len(moved))
    shown = [each.split()[0] for each in tags.all_inner_texts()]
    assert shown == moved
    with redrawn(page):
        page.get_by_text("Include coefficients").click()
    page.keyboard.press("Escape")
    others = [f"c:{name}" for name in ("helpful", "harmless", "honest")]
    assert names(page) == [*moved, *others]
    carry(page, "c:honest", moved[0])
    moved = ["c:honest", *moved, *others[:2]]
    assert names(page) == moved
    page.wait_for_url(f"**axes={'%2C'.join(each.replace(':', '%3A') for each in moved)}**")
    page.reload()
    wait_for_chart(page)
    assert names(page) == moved
    assert page.complaints == []  # type: ignore[attr-defined]
    page.context.close()


def test_ranges_and_order_by_keys(shipped: Served, chrome: Browser) -> None:
    page = shipped.open(chrome, "/?view=parallel&axes=facts,refusals,fluency")
    wait_for_chart(page)
    page.get_by_role("button", name="facts ↑, axis 1 of 3").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert names(page) == ["refusals", "fluency", "facts"]
    expect(page.get_by_role("button", name="facts ↑, axis 3 of 3")).to_be_focused()
    page.wait_for_url("**axes=refusals%2Cfluency%2Cfacts**")
    page.keyboard.press("Tab")
    low = page.get_by_role("slider", name="facts ↑, at least")
    expect(low).to_be_focused()
    expect(low).to_have_attribute("aria-valuetext", "no limit")
    page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("ArrowUp")
    bound = float(low.get_attribute("aria-valuenow") or "nan")
    assert counted(page)[0] == sum(each >= bound for each in values(page, "facts").values())
    page.keyboard.press("Escape")
    expect(low).to_have_attribute("aria-valuetext", "no limit")
    expect(page.locator(".parallel .words")).to_contain_text("Up is better on every objective.")
    # of an axis whose lower values are better the lower end is the highest value
    page.get_by_role("slider", name="fluency ↓, at most").press("Shift+ArrowUp")
    high = page.get_by_role("slider", name="fluency ↓, at most").get_attribute("aria-valuenow")
    fluency = values(page, "fluency").values()
    assert counted(page)[0] == sum(each <= float(high or "nan") for each in fluency)
    assert page.complaints == []  # type: ignore[attr-defined]
    page.context.close()


PLACE = """([id, name]) => {
    const { figure, place, axes } = document.querySelector('.parallel').view;
    const shown = [...document.querySelectorAll('.axis')].map((each) => each.dataset.name);
    const axis = axes.find((each) => each.name === name);
    const line = figure.ids.indexOf(id);
    const plane = document.querySelector('.plane').getBoundingClientRect();
    const [x, y] = [place.xs[shown.indexOf(name)], place.y(axis.heights[line])];
    const over = document.querySelector('.over');
    const scale = over.width / plane.width;
    const [r, g, b, a] = over.getContext('2d').getImageData(x * scale, y * scale, 1, 1).data;
    return { x: plane.x + x, y: plane.y + y, colour: [r, g, b], there: a > 0 };
}"""
"""Where a point's line crosses an axis on the screen, and what is drawn over the lines there."""


def crossing(page: Page, point: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate(PLACE, [point, name])
    return found


def test_the_pick_and_the_recipe_are_drawn_over_the_lines_and_a_line_is_chosen(
    shipped: Served, chrome: Browser
) -> None:
    page = shipped.open(chrome, "/?view=parallel")
    wait_for_chart(page)
    legend = page.locator(".parallel .legend")
    expect(legend).to_contain_text("this recipe, predicted")
    expect(legend).to_contain_text("pick")
    page.get_by_role("tab", name="Preference").click()
    pick = str(page.locator(".picked[data-point]").get_attribute("data-point"))
    spot = crossing(page, pick, "facts")
    violet = page.locator(".parallel").evaluate(
        """each => {
            const probe = document.createElement('i');
            probe.style.color = 'var(--st-violet-text-color)';
            each.append(probe);
            const found = getComputedStyle(probe).color.match(/\\d+/g).slice(0, 3).map(Number);
            probe.remove();
            return found;
        }"""
    )
    assert spot["there"] and spot["colour"] == violet
    page.get_by_role("tab", name="Recipe").click()

    # a line that crosses none near the middle between two axes is pointed at and chosen
    point = next(each for each in points(page) if each != pick)
    first, second = (crossing(page, point, name) for name in names(page)[:2])
    place = (0.9 * first["x"] + 0.1 * second["x"], 0.9 * first["y"] + 0.1 * second["y"])
    page.mouse.move(*place)
    tip = page.locator(".parallel .tip")
    expect(tip).to_be_visible()
    told = str(re.search(r"point (\w+)", tip.inner_text())[1])  # type: ignore[index]
    assert told in points(page) and "facts ↑" in tip.inner_text()
    page.mouse.click(*place)
    expect(page.locator(".readout")).to_contain_text(f"Point {told}")
    expect(legend).to_contain_text("this recipe")
    expect(legend).not_to_contain_text("predicted")
    page.wait_for_url(f"**point={told}**")
    slider(page, "helpful").press("ArrowRight")
    expect(legend).to_contain_text("this recipe, predicted")
    assert page.complaints == []  # type: ignore[attr-defined]
    page.context.close()
