"""The views of Explore and the preference, by mouse, over the measured points of the demo."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute, expect

from studio.decide.preference import equal, rebalanced
from tests.browser.driver import Served, kinds, moved, points, redrawn, slider, wait_for_chart

pytestmark = pytest.mark.browser

THREE = "/?y=refusals&z=fluency&over=facts,refusals,fluency"


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
    page.wait_for_selector(".st-key-take")


def bind(page: Page, objective: str, end: str, value: float) -> None:
    """Move an end of a bound's slider; the last step is a key's, which lets go of it."""
    panel = page.locator(".st-key-bounds_panel")
    handle = panel.locator(f'input[aria-label^="{objective}"][aria-label$="{end}"]')
    handle.fill(f"{value - 0.01:.2f}")
    handle.press("ArrowRight")


def picked(page: Page) -> str:
    expect(page.locator(".picked")).to_have_count(1)  # that of the hidden tab has left
    return str(page.locator(".picked").get_attribute("data-point"))


def asked(page: Page) -> dict[str, str]:
    """What the address names."""
    return {name: each[0] for name, each in parse_qs(urlsplit(page.url).query).items()}


def test_a_surface_follows_method_and_parameters(shipped: Served, chrome: Browser) -> None:
    page = shipped.open(chrome, "/?view=surface&method=task_arithmetic")
    wait_for_chart(page)
    with redrawn(page):
        choose(page, "Method", "pcb")
    page.get_by_role("button", name="ratio").click()
    page.get_by_role("spinbutton", name="ratio").fill("0.33")
    page.get_by_role("button", name="Apply").click()  # no point has it
    expect(page.get_by_text("Too few points of this method to predict a surface")).to_be_visible()
    choose(page, "Method", "single")
    expect(page.get_by_text("A surface needs a method with at least two")).to_be_visible()
    assert page.complaints == []
    page.context.close()


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
        choose(page, "View as", "3-D")
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
    names = page.locator(".parallel").inner_text()
    for name in ("facts ↑", "refusals ↑", "honesty ↑", "over_refusal ↓", "fluency ↓", "cost ↓"):
        assert name in names
    assert page.complaints == []
    page.context.close()


def test_bounds_leave_points_of_chart_table_and_pick(shipped: Served, chrome: Browser) -> None:
    page = shipped.open(chrome, "/?over=facts,refusals")
    wait_for_chart(page)
    every = set(points(page))
    prefer(page)
    before = picked(page)
    page.get_by_role("button", name="Bounds").click()
    with redrawn(page), moved(page, "pick"):
        bind(page, "facts", "start", 0.8)
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


def test_three_objectives_are_weighed_on_the_pad_and_a_point_taken(
    shipped: Served, chrome: Browser
) -> None:
    page = shipped.open(chrome, THREE)
    wait_for_chart(page)
    assert kinds(page) == {"scatter3d"}
    expect(page.get_by_role("combobox", name="Depth")).to_have_value("Depth: fluency ↓")
    page.wait_for_selector(".mark.here:not([hidden])", state="attached")
    prefer(page)
    page.wait_for_selector(".pad[data-drawn]")
    assert page.evaluate(LEANS) == [0, 1, 2]
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

    page.get_by_role("button", name="Use this recipe").click()
    page.get_by_role("tab", name="Recipe").click()
    expect(page.locator(".readout")).to_contain_text(f"Point {live}")
    assert asked(page)["point"] == live
    assert page.complaints == []
    page.context.close()


def test_the_address_restores_what_was_chosen(shipped: Served, chrome: Browser) -> None:
    page = shipped.open(chrome, "/?over=refusals,honesty")
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
    page.wait_for_url("**honesty%3A1.00**")
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
    again.locator(".st-key-weights input[type=range]").first.wait_for()
    assert weights(again) == there["weights"]
    shown = again.locator(".readout").get_attribute("data-recipe")
    assert json.loads(shown) == json.loads(recipe)
    expect(again.get_by_role("button", name="Bounds (1)")).to_be_visible()
    assert asked(again) == {
        name: each[0] for name, each in parse_qs(urlsplit(there["url"]).query).items()
    }
    assert again.complaints == []
    again.context.close()


class Line:
    """A page's connection, which can keep back what Python answers."""

    def __init__(self) -> None:
        self.kept: list[str | bytes] | None = None

    def of(self, page: Page) -> None:
        """Stand in the way of a page that has not loaded."""
        page.route_web_socket("**/_stcore/stream", self._open)

    def _open(self, here: WebSocketRoute) -> None:
        there = here.connect_to_server()
        there.on_message(lambda said: here.send(said) if self.kept is None else self._keep(said))
        self._here = here

    def _keep(self, said: str | bytes) -> None:
        assert self.kept is not None
        self.kept.append(said)

    @contextmanager
    def held(self) -> Iterator[None]:
        self.kept = []
        yield
        kept, self.kept = self.kept, None
        for said in kept:
            self._here.send(said)


AFTER_TWO_FRAMES = """() => new Promise((done) => requestAnimationFrame(() =>
    requestAnimationFrame(() => done(window.paretoscope.front.weights))))"""
LEANS = """() => {
    const pad = document.querySelector('.pad');
    const corners = ['.top', '.left', '.right'].map((name) => {
        const hex = pad.querySelector(name).style.getPropertyValue('--corner').trim();
        return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
    });
    const canvas = pad.querySelector('.regions');
    const [wide, high] = [canvas.width, canvas.height];
    const away = (colour) => (corner) =>
        corner.reduce((sum, each, i) => sum + (each - colour[i]) ** 2, 0);
    const near = [[wide / 2, high * 0.06], [wide * 0.05, high * 0.97], [wide * 0.95, high * 0.97]];
    return near.map(([x, y]) => {
        const pixels = canvas.getContext('2d').getImageData(x - 4, y - 4, 8, 8).data;
        const at = pixels.findIndex((each, i) => i % 4 === 3 && each) - 3;
        const gaps = corners.map(away(pixels.slice(at, at + 3)));
        return gaps.indexOf(Math.min(...gaps));
    });
}"""
"""Of each corner: which corner's colour the region that it lies in is nearest to."""
WATCH_PICK = """() => {
    window.picks = [];
    new MutationObserver(() => window.picks.push(document.querySelector('.picked').dataset.point))
        .observe(document.querySelector('.picked'), { attributes: true, childList: true });
}"""


def answered(page: Page) -> None:
    """Until Python has heard of every move."""
    page.wait_for_function("""() => {
        const { aimed, ahead, front } = window.paretoscope;
        const shown = [...document.querySelectorAll('.st-key-weights input[type=range]')];
        return !ahead() && front.moved === null
            && front.names.every((name, i) => front.weights[i] === aimed.weights[name])
            && shown.every((each, i) => Math.round(each.value * 100) === front.weights[i]);
    }""")


@pytest.mark.parametrize(("path", "locked"), [("/?y=refusals", None), (THREE, "facts")])
def test_the_pick_follows_a_weight_before_python_answers(
    shipped: Served, chrome: Browser, path: str, locked: str | None
) -> None:
    line = Line()
    page = shipped.open(chrome, path, line.of)
    wait_for_chart(page)
    page.get_by_text("worker ready").wait_for()
    prefer(page)
    if locked:
        page.get_by_role("button", name=f"Lock {locked}").click()
        expect(weight_slider(page, locked)).to_be_disabled()
        answered(page)
    names = list(weights(page))
    now = equal(names).lock(locked, True) if locked else equal(names)
    page.evaluate(WATCH_PICK)
    chosen = []
    for objective, keys in [
        ("refusals", ["End"]),
        ("refusals", ["PageDown", "ArrowLeft"]),
        (names[-1], ["End", "PageDown", "ArrowLeft"]),
        ("refusals", ["Home"]),
    ]:
        before = picked(page)
        with line.held():
            for key in keys:
                weight_slider(page, objective).press(key)
                live = page.evaluate(AFTER_TWO_FRAMES)
                shown = float(weight_slider(page, objective).input_value())
                now = rebalanced(now, objective, shown)
                assert live == list(now.hundredths.values())
            page.wait_for_timeout(700)  # what Python answers in between is late when it comes
            found = picked(page)
            mark = page.evaluate("window.paretoscope.pick.point")
            assert mark == found
            page.evaluate("window.picks.length = 0")
        answered(page)
        assert picked(page) == found
        assert page.evaluate("window.picks") == []
        assert [round(float(each) * 100) for each in weights(page).values()] == live
        chosen.append((before, found))
    assert any(before != found for before, found in chosen)
    assert page.complaints == []
    page.context.close()


def test_a_dragged_weight_takes_the_pick_and_the_handle_along(
    shipped: Served, chrome: Browser
) -> None:
    line = Line()
    page = shipped.open(chrome, THREE, line.of)
    wait_for_chart(page)
    page.get_by_text("worker ready").wait_for()
    prefer(page)
    first, stood = picked(page), page.locator(".pad .handle").get_attribute("aria-valuetext")
    track = page.locator(".st-key-weights [data-testid=stSlider] [role=group]").first.bounding_box()
    assert track is not None
    y, width = track["y"] + track["height"] / 2, track["width"]
    with line.held():
        page.mouse.move(track["x"] + 0.35 * width, y)
        page.mouse.down()
        page.mouse.move(track["x"] + 0.95 * width, y, steps=6)
        page.wait_for_function("window.paretoscope.front.weights[0] > 90")
        live = page.evaluate(AFTER_TWO_FRAMES)
        assert picked(page) != first
        handle = page.locator(".pad .handle").get_attribute("aria-valuetext")
        assert handle != stood and handle.startswith(f"facts {live[0] / 100:.2f}")
        page.mouse.up()
        found = picked(page)
    answered(page)
    assert picked(page) == found
    assert page.evaluate("window.paretoscope.front.weights") == live
    assert page.complaints == []
    page.context.close()
