"""What a user does, in a real browser, on the shipped study with the real engine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from cache.store import Store
from tests.browser.driver import POINT_ON_SCREEN, WAIT, Served, points, slider, wait_for_chart
from tests.browser.hands import another_point

pytestmark = pytest.mark.browser


SIDEBAR_SEEN = """new MutationObserver(() => {
    if (document.querySelector('[data-testid="stSidebar"], [data-testid="stExpandSidebarButton"]'))
        window.sidebarSeen = true;
}).observe(document, { subtree: true, childList: true });"""

COLOUR = "document.querySelector('.tradeoff').layout.font.color"


def click_point(page: Page, point: str) -> None:
    x, y = page.evaluate(POINT_ON_SCREEN, point)
    page.mouse.move(x - 3, y - 3)
    page.mouse.move(x, y)
    page.mouse.click(x, y)


def ring(page: Page) -> str:
    return str(page.locator(".mark.here").evaluate("e => e.hidden ? '' : e.style.transform"))


def test_open_slide_evaluate_click_export(app: Served, chrome: Browser, tmp_path: Path) -> None:
    page = app.open(chrome)
    revision = wait_for_chart(page)
    models = points(page)
    assert set(models.values()) == {"unmerged models"} and len(models) == 5

    handle = slider(page, "helpful")
    handle.focus()
    readout = page.locator(".readout")
    before, stood = readout.get_attribute("data-recipe"), ring(page)
    for _ in range(40):
        page.keyboard.press("ArrowRight")
    expect(readout).not_to_have_attribute("data-recipe", before)
    page.wait_for_function(
        "old => JSON.parse(document.querySelector('.readout').dataset.recipe)"
        ".coefficients.helpful >= 0.89"
        " && document.querySelector('.mark.here').style.transform !== old",
        arg=stood,
    )
    expect(readout).to_contain_text("ot measured")

    page.get_by_role("button", name="Evaluate").click()
    page.wait_for_selector(".readout .title.whole")
    page.wait_for_function("old => document.querySelector('.tradeoff').dataset.drawn !== old",
                           arg=revision)  # fmt: skip
    [new] = set(points(page)) - set(models)
    assert f"point={new}" in page.url
    expect(page.locator(".mark.here")).to_have_attribute("data-kind", "measured")

    base = next(iter(models))
    click_point(page, base)
    expect(readout).to_contain_text(f"Point {base}")
    assert json.loads(readout.get_attribute("data-recipe"))["method"] == "single"
    click_point(page, new)
    expect(readout).to_contain_text(f"Point {new}")
    assert handle.input_value() == "0.9"

    page.get_by_role("link", name="Export…").click()
    page.wait_for_url("**/export?**")
    place = page.get_by_role("textbox", name="Directory on this server")
    expect(place).to_have_value(f"{app.home}/exports/demo-{new}")
    place.fill(str(tmp_path / "out"))
    place.press("Tab")
    page.get_by_role("button", name="Export", exact=True).click()
    page.get_by_text("Exported.").wait_for()
    expect(page.get_by_text("Verified").first).to_be_visible()
    assert (tmp_path / "out" / "model.safetensors").stat().st_size > 100_000
    assert page.complaints == []
    page.context.close()


def test_points_of_another_process_appear_and_the_zoom_stays(app: Served, chrome: Browser) -> None:
    page = app.open(chrome)
    wait_for_chart(page)
    before = points(page)
    zoom = page.evaluate(
        "window.paretoscope.plotly.relayout(document.querySelector('.tradeoff'),"
        " {'xaxis.range': [-0.5, 1.5], 'yaxis.range': [-0.5, 1.5]}).then("
        "chart => chart.layout.xaxis.range)"
    )
    with Store.open(app.home) as store:
        rows = another_point(store, next(iter(before)), 0.11)
        store.append(rows)
    page.wait_for_function(
        "count => document.querySelector('.tradeoff').data.flatMap("
        "trace => trace.customdata || []).length === count",
        arg=len(before) + 1,
    )
    assert rows[0]["point"] in points(page)
    assert page.evaluate("document.querySelector('.tradeoff').layout.xaxis.range") == zoom
    assert page.complaints == []
    page.context.close()


def test_explore_is_entered_directly_after_a_restart(app: Served, chrome: Browser) -> None:
    app.stop()
    app.start()
    page = app.open(chrome, "/explore?y=honesty&method=linear")
    wait_for_chart(page)
    expect(page.get_by_text("worker ready")).to_be_visible()
    assert page.evaluate("document.querySelector('.tradeoff').layout.meta.axes[1]") == "honesty"
    expect(slider(page, "base")).to_be_attached()
    page.get_by_role("link", name="Export", exact=True).click()
    page.wait_for_url("**/export**")
    expect(page.get_by_role("textbox", name="Directory on this server")).to_be_visible()
    assert page.complaints == []
    page.context.close()


def test_a_tab_left_open_comes_back_after_a_restart(app: Served, chrome: Browser) -> None:
    page = app.open(chrome)
    wait_for_chart(page)
    app.stop()
    app.start()
    before = page.get_attribute(".readout", "data-recipe")
    limit = time.monotonic() + WAIT / 1000
    while page.get_attribute(".readout", "data-recipe") == before:
        assert time.monotonic() < limit, "the sliders stay dead"
        slider(page, "honest").press("ArrowRight")
        page.wait_for_timeout(500)
    page.get_by_text("worker ready").wait_for()
    page.context.close()


def test_a_small_laptop_shows_it_all_and_a_dark_theme_colours_the_chart(
    app: Served, chrome: Browser
) -> None:
    page = app.open(chrome, color_scheme="light")
    wait_for_chart(page)
    for selector in (".tradeoff", ".st-key-controls", ".st-key-evaluate"):
        box = page.locator(selector).bounding_box()
        assert box is not None and box["y"] + box["height"] <= 720, selector
        assert box["x"] + box["width"] <= 1280, selector
    light = page.evaluate(COLOUR)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"light => ({COLOUR}) !== light", arg=light)
    dark = page.evaluate(COLOUR)
    assert all(colour and not colour.startswith("--") for colour in (light, dark))
    page.reload()
    wait_for_chart(page)
    assert page.evaluate(COLOUR) == dark
    assert page.complaints == []
    page.context.close()


def test_another_study_is_opened_by_its_path(chrome: Browser, demo: Path, tmp_path: Path) -> None:
    """With a LoRA expert, whose points can leave as adapters."""
    text = demo.with_name("study-lora.yaml").read_text()
    text = text.replace("    chat: true\n", "    chat: true\n    limit: 4\n")
    other = demo.with_name("short-lora.yaml")
    other.write_text(text)
    with Served(other, tmp_path / "home") as served:
        # the first page of a server, past its frame: before the pages have their navigation
        page = served.open(chrome, "/explore", lambda each: each.add_init_script(SIDEBAR_SEEN))
        page.get_by_text("demo-lora", exact=True).wait_for()
        assert page.title() and not page.evaluate("window.sidebarSeen")
        wait_for_chart(page)
        assert page.complaints == []
        page.context.close()


def test_a_broken_study_lists_its_problems_and_opens_once_mended(
    chrome: Browser, demo: Path, tmp_path: Path
) -> None:
    study = tmp_path / "study.yaml"
    good = demo.read_text().replace("models/", f"{demo.parent}/models/")
    good = good.replace("data/", f"{demo.parent}/data/")
    study.write_text(
        good.replace("scorer: refusal", "scorer: refusl").replace("helpful:", "'a:b':")
    )
    with Served(study, tmp_path / "home") as served:
        page = served.open(chrome)
        page.get_by_text("This study cannot be opened.").wait_for()
        expect(page.get_by_text("'a:b' cannot name an expert")).to_be_visible()
        study.write_text(good)
        page.reload()
        page.get_by_text("The unmerged models are scored first").wait_for()
        page.context.close()
    shutil.rmtree(tmp_path / "home")


def test_a_killed_worker_is_said_and_the_next_evaluation_works(
    app: Served, chrome: Browser
) -> None:
    page = app.open(chrome, "/?method=linear")
    wait_for_chart(page)
    page.get_by_text("worker ready").wait_for()
    slider(page, "helpful").press("ArrowRight")
    expect(page.locator(".readout")).to_contain_text("Not measured yet")
    page.get_by_role("button", name="Evaluate").click()
    page.get_by_role("button", name="Cancel").wait_for()
    os.kill(app.worker(), signal.SIGKILL)
    page.get_by_text("was killed").wait_for()
    page.get_by_role("button", name="Evaluate").click()
    page.wait_for_selector(".readout .title.whole")
    expect(page.get_by_text("was killed")).to_have_count(0)
    page.context.close()


SLOW_TO_SEND = """() => {
    const later = window.setTimeout;
    window.setTimeout = (call, wait, ...more) => later(call, wait || 1500, ...more);
}"""
"""What is to be sent at once waits longer than news of the evaluation take to come."""


def test_a_click_is_heard_once_though_news_are_sent_with_it(app: Served, chrome: Browser) -> None:
    page = app.open(chrome)
    wait_for_chart(page)
    page.get_by_text("worker ready").wait_for()
    page.get_by_role("slider", name="helpful").first.press("ArrowRight")
    top = "document.querySelector('.first-steps').getBoundingClientRect().top"
    before = page.evaluate(top)
    page.get_by_role("button", name="Evaluate").click()
    page.locator(".st-key-jobs_bar").wait_for()
    assert page.evaluate(top) == before  # nothing below moves when work begins
    page.evaluate(SLOW_TO_SEND)
    page.get_by_role("button", name="Compare", exact=True).click()
    page.get_by_text("Tray 1 of 4").wait_for()
    time.sleep(2)  # until what was sent again would have been heard
    expect(page.get_by_text("Tray 1 of 4")).to_be_visible()
    expect(page.get_by_role("button", name="In tray")).to_be_visible()
    assert page.complaints == []
    page.context.close()
