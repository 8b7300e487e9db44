"""What hands do on the pages: choose, drag, answer, export. For journeys, timings and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from playwright.sync_api import Locator, Page, expect

from cache.store import Store
from tests.browser.driver import slider, wait_for_chart


def turn_to(page: Page, name: str) -> None:
    """Go to another page by the navigation."""
    page.get_by_role("link", name=name, exact=True).first.click()
    path = "/" if name == "Explore" else f"/{name.lower()}"
    page.wait_for_function("path => location.pathname === path", arg=path)


def choose(page: Page, label: str, option: str) -> None:
    """Choose in a selectbox; `option` is the beginning of what is offered."""
    box = page.get_by_role("combobox", name=label)
    expect(box).to_have_count(1)  # one that was replaced stays for a moment
    box.click()
    page.get_by_role("option").filter(has_text=option).first.click()


def count_points(page: Page) -> int:
    """Points that the trade-off draws."""
    return int(
        page.evaluate(
            "document.querySelector('.tradeoff').data.flatMap(each => each.customdata || []).length"
        )
    )


def show_depth(page: Page, objective: str) -> None:
    """Put an objective on the third axis, and wait for the scene."""
    choose(page, "Depth", objective)
    page.wait_for_function("document.querySelector('.tradeoff')?.data?.[0]?.type === 'scatter3d'")


def press(handle: Locator, key: str, times: int) -> None:
    """Press a key on a slider as a hand does, one after the other."""
    for _ in range(times):
        handle.press(key)


def weight(page: Page, objective: str) -> Locator:
    """The native slider of a weight, for keys, once those of other axes have gone."""
    found = page.locator(f'.st-key-weights input[type=range][aria-label^="{objective}"]')
    expect(found).to_have_count(1)
    return found


def picked(page: Page) -> str:
    """Id of the point that the preference picks."""
    return page.locator(".picked").get_attribute("data-point") or ""


def drag_pad(page: Page, across: float, down: float) -> None:
    """Drag the pad's handle to a place of the triangle's box, both from 0 to 1."""
    box = page.locator(".pad .triangle").bounding_box()
    held = page.locator(".pad .handle").bounding_box()
    assert box is not None and held is not None
    page.mouse.move(held["x"] + held["width"] / 2, held["y"] + held["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"], steps=8)
    page.mouse.up()


def take_pick(page: Page) -> str:
    """Take the pick's recipe into the sliders; the point's id."""
    point = picked(page)
    page.get_by_role("button", name="Use this recipe").click()
    page.get_by_role("tab", name="Recipe").click()
    expect(page.locator(".readout")).to_contain_text(f"Point {point}")
    return point


def add_to_tray(page: Page, names: Sequence[str]) -> None:
    """On Compare: add models to the tray."""
    for name in names:
        choose(page, "Add a model or a point of the front", name)
        page.get_by_role("button", name="Remove").nth(0).wait_for()
        expect(page.locator("[class*=st-key-card]").filter(has_text=name)).not_to_have_count(0)


def answer(page: Page) -> None:
    """On Compare: have every column answer the prompts, and wait for the end."""
    page.get_by_role("button", name="Answer", exact=True).click()
    page.get_by_text("Answered.").wait_for()


def export(page: Page) -> None:
    """On Export: write the point where the page says, and wait until it is verified."""
    button = page.get_by_role("button", name="Export", exact=True)
    expect(button).to_be_enabled()
    button.click()
    page.get_by_text("Exported.").wait_for()
    page.get_by_text("Verified").first.wait_for()


def to_export(page: Page) -> None:
    """From Explore with a measured recipe in hand: its Export link."""
    wait_for_chart(page)
    page.get_by_role("link", name="Export…").click()
    page.wait_for_url("**/export?**")


def move_slider(page: Page, name: str, key: str, times: int) -> None:
    """Move a coefficient by keys."""
    press(slider(page, name), key, times)


def another_point(store: Store, like: str, helpful: float) -> list[dict[str, Any]]:
    """Rows as a sweep would append them: a recipe of its own with the scores of another point."""
    [family] = {row["family"] for row in store.records("score") if row["point"] == like}
    rows = store.scores(family, point=like)
    recipe = {
        "method": "task_arithmetic",
        "coefficients": {"helpful": helpful, "harmless": 0.22, "honest": 0.33},
        "parameters": {"strength": 1.0},
    }
    keys = {"point": f"{round(helpful * 100):012x}", "recipe": recipe}
    return [{k: v for k, v in row.items() if k != "id"} | keys for row in rows]


def measure_vectors(page: Page) -> None:
    """On the tab of the task vectors: have them measured, where no journey before has."""
    measure = page.get_by_role("button", name="Measure the task vectors", exact=True)
    measure.or_(page.locator(".st-key-norms .js-plotly-plot")).first.wait_for()
    if measure.count():
        measure.click()
