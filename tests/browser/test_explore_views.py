"""The views of Explore and the preference, by mouse, over the measured points of the demo."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.driver import Served, kinds, moved, points, redrawn, slider, wait_for_chart

pytestmark = pytest.mark.browser


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_role("combobox", name=label).click()
    page.get_by_role("option").filter(has_text=option).first.click()


def weights(page: Page) -> dict[str, str]:
    """What the sliders of the preference show, by objective."""
    found = page.locator(".st-key-weights input[type=range]")
    return {each.get_attribute("aria-label").split()[0]: each.input_value() for each in found.all()}


def weight_slider(page: Page, objective: str):
    return page.locator(f'.st-key-weights input[type=range][aria-label^="{objective}"]')


def prefer(page: Page) -> None:
    """Turn to the preference."""
    page.get_by_role("tab", name="Preference").click()
    page.wait_for_selector(".picked[data-point]")


def bind(page: Page, objective: str, end: str, value: float) -> None:
    """Move an end of a bound's slider; the last step is a key's, which lets go of it."""
    panel = page.locator(".st-key-bounds_panel")
    handle = panel.locator(f'input[aria-label^="{objective}"][aria-label$="{end}"]')
    handle.fill(f"{value - 0.01:.2f}")
    handle.press("ArrowRight")


def picked(page: Page) -> str:
    return str(page.locator(".picked").get_attribute("data-point"))


def asked(page: Page) -> dict[str, str]:
    """What the address names."""
    return {name: each[0] for name, each in parse_qs(urlsplit(page.url).query).items()}


def test_a_surface_follows_the_sliders(shipped: Served, chrome: Browser) -> None:
    page = shipped.open(chrome)
    with redrawn(page):
        page.get_by_role("radio", name="Surface").click()
    assert "contour" in kinds(page)
    with moved(page, "here"):
        slider(page, "helpful").press("ArrowRight")
    expect(page.locator(".mark.here")).to_have_attribute("data-kind", "predicted")
    with redrawn(page):  # another surface: this coefficient is on none of its axes
        slider(page, "honest").press("ArrowRight")
    with redrawn(page):
        choose(page, "Drawn as", "3-D")
    assert "surface" in kinds(page)
    with moved(page, "here"):
        slider(page, "helpful").press("ArrowRight")
    assert page.complaints == []
    page.context.close()


def test_parallel_axes_hold_every_point(shipped: Served, chrome: Browser) -> None:
    page = shipped.open(chrome)
    wait_for_chart(page)
    drawn = set(points(page))
    with redrawn(page):
        page.get_by_role("radio", name="Parallel").click()
    assert set(points(page)) == drawn
    names = page.locator(".tradeoff").evaluate("e => e.textContent")
    for name in ("facts ↑", "refusals ↑", "honesty ↑", "over_refusal ↓", "fluency ↓", "cost ↓"):
        assert name in names
    assert page.complaints == []
    page.context.close()


def test_bounds_leave_points_of_chart_table_and_pick(shipped: Served, chrome: Browser) -> None:
    page = shipped.open(chrome)
    wait_for_chart(page)
    every = set(points(page))
    prefer(page)
    before = picked(page)
    page.get_by_role("button", name="Bounds").click()
    with redrawn(page), moved(page, "pick"):
        bind(page, "facts", "start", 0.7)
    expect(page.get_by_role("button", name="Bounds (1)")).to_be_visible()
    page.keyboard.press("Escape")
    left = set(points(page))
    assert left < every
    assert before not in left
    expect(
        page.get_by_text(f"{len(every) - len(left)} points do not meet the bounds")
    ).to_be_visible()
    assert picked(page) in left
    assert asked(page)["bounds"].startswith("facts:")
    assert page.complaints == []
    page.context.close()


def test_weights_and_pad_choose_a_point_to_take(shipped: Served, chrome: Browser) -> None:
    page = shipped.open(chrome, "/?z=fluency")
    wait_for_chart(page)
    prefer(page)
    first = picked(page)
    with moved(page, "pick"):
        weight_slider(page, "refusals").press("End")
    assert weights(page)["refusals"] == "1"
    chosen = picked(page)
    assert chosen != first

    # dragged: the pick moves with the hand, Python hears of it on release
    handle = page.locator(".pad .handle")
    triangle = page.locator(".pad .triangle").bounding_box()
    held = handle.bounding_box()
    assert triangle is not None and held is not None
    page.mouse.move(held["x"] + held["width"] / 2, held["y"] + held["height"] / 2)
    page.mouse.down()
    page.mouse.move(triangle["x"] + triangle["width"] / 2, triangle["y"] + 5, steps=4)
    page.wait_for_function(
        "old => document.querySelector('.picked').dataset.point !== old", arg=chosen
    )
    live = picked(page)
    assert weights(page)["refusals"] == "1"
    page.mouse.up()
    expect(weight_slider(page, "refusals")).not_to_have_value("1")
    now = {name: float(value) for name, value in weights(page).items()}
    assert now["facts"] > 0.9 and sum(now.values()) == pytest.approx(1)
    expect(page.locator(".picked")).to_have_attribute("data-point", live)

    page.get_by_role("button", name="Take this recipe").click()
    page.get_by_role("tab", name="Recipe").click()
    expect(page.locator(".readout")).to_contain_text(f"Point {live}")
    assert asked(page)["point"] == live
    assert page.complaints == []
    page.context.close()


def test_the_address_restores_what_was_chosen(shipped: Served, chrome: Browser) -> None:
    page = shipped.open(chrome)
    wait_for_chart(page)
    with redrawn(page):
        choose(page, "Across", "honesty")
    choose(page, "Method", "pcb")
    page.wait_for_function(
        "() => document.querySelector('.readout').dataset.recipe.includes('pcb')"
    )
    slider(page, "honest").press("ArrowRight")
    prefer(page)
    weight_slider(page, "honesty").press("End")
    page.get_by_role("button", name="Bounds").click()
    with redrawn(page):
        bind(page, "fluency", "end", 1)
    expect(page.get_by_role("button", name="Bounds (1)")).to_be_visible()
    page.wait_for_url("**prefer=honesty%3A1.00**")
    there = {
        "url": page.url,
        "points": points(page),
        "pick": picked(page),
        "weights": weights(page),
    }
    recipe = page.locator(".readout").get_attribute("data-recipe")
    assert page.complaints == []
    page.context.close()

    again = shipped.open(chrome, there["url"].removeprefix(shipped.url))
    wait_for_chart(again)
    again.get_by_role("tab", name="Preference").click()
    expect(again.locator(".picked")).to_have_attribute("data-point", there["pick"])
    assert points(again) == there["points"]
    assert weights(again) == there["weights"]
    shown = again.locator(".readout").get_attribute("data-recipe")
    assert json.loads(shown) == json.loads(recipe)
    expect(again.get_by_role("button", name="Bounds (1)")).to_be_visible()
    assert asked(again) == {
        name: each[0] for name, each in parse_qs(urlsplit(there["url"]).query).items()
    }
    assert again.complaints == []
    again.context.close()
