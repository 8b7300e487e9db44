"""Every page on studies other than the demo, with what a person mainly does on each.

one     one expert and one objective: nothing to trade off or to cross; by the keyboard alone
wide    five experts and eight objectives, names with spaces, two experts that are the same
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from urllib.parse import quote_plus

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.driver import Served, redrawn, slider, wait_for_chart
from tests.browser.test_accessibility import SCHEMES, inspect, wear
from tests.browser.test_keyboard import FAR, focused, tab_to
from tests.families import OBJECTIVES, FamilyFiles, build_tied_family

pytestmark = pytest.mark.browser

Role = Literal["button", "link", "radio", "tab"]

EXPERTS = {
    "helpful assistant": "helpful",
    "very cautious assistant of a legal team": "padded",
    "helpful assistant again": "helpful",
    "short answers": "terse",
    "formal letters in German": "formal",
}
NAMES = {
    "exact": "exact answers", "has": "has the word", "form": "form", "pick": "picks the right one",
    "refuses": "refuses what is harmless", "loss": "loss",
    "surprise": "surprise on held out texts of every kind", "drift": "drift from the base",
}  # fmt: skip

LABELS = """() => {
    const boxes = [...document.querySelectorAll('.tradeoff .annotation-text')]
        .map((each) => [each.textContent, each.getBoundingClientRect()]);
    const met = boxes.flatMap(([a, p], i) => boxes.slice(i + 1)
        .filter(([, q]) => p.left < q.right - 1 && q.left < p.right - 1
            && p.top < q.bottom - 1 && q.top < p.bottom - 1)
        .map(([b]) => `${a} / ${b}`));
    return [boxes.map(([text]) => text), met];
}"""
"""The names of models on the chart, and which of them lie over each other."""

NAMED = """(count) =>
    document.querySelectorAll('.tradeoff .annotation-text').length === count"""

CURVE = """() => { const chart = document.querySelector('.tradeoff[data-drawn]');
    return chart?.layout?.meta && 'curve' in chart.layout.meta; }"""
"""A curve is drawn."""

WORDS_INSIDE = """() => { const chart = document.querySelector('.tradeoff[data-drawn]');
    return chart.querySelector('.gtitle').getBoundingClientRect().top
        >= chart.getBoundingClientRect().top; }"""
"""What is said above the curve is not cut at the chart's upper edge."""

TOO_WIDE = """() => { const main = document.querySelector('[data-testid=stMain]');
    return main.scrollWidth - main.clientWidth; }"""


class Hand:
    """Works a page by its mouse."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def press(self, role: Role, name: str) -> None:
        """Choose or do what is called so."""
        self.page.get_by_role(role, name=name, exact=True).first.click()

    def slide(self, name: str, steps: int) -> None:
        """Move a slider to the right."""
        handle = slider(self.page, name)
        for _ in range(steps):
            handle.press("ArrowRight")

    def give(self, name: str, value: int) -> None:
        """Put a number into a field."""
        field = self.page.get_by_role("spinbutton", name=name)
        field.fill(str(value))
        field.press("Enter")

    def turn_to(self, name: str) -> None:
        """Go to another page by the navigation."""
        self.press("link", name)
        path = "/" if name == "Explore" else f"/{name.lower()}"
        self.page.wait_for_function("path => location.pathname === path", arg=path)


class Keys(Hand):
    """Works a page by its keyboard alone."""

    def press(self, role: Role, name: str) -> None:
        if role in ("radio", "tab"):  # a group has one stop; arrows go on within it
            for _ in range(FAR):
                if focused(self.page)[0] == role:
                    break
                self.page.keyboard.press("Tab")
            for _ in range(len(self.page.get_by_role(role).all())):
                if focused(self.page)[1] == name:
                    break
                self.page.keyboard.press("ArrowRight")
            assert focused(self.page) == (role, name)
        else:
            tab_to(self.page, role, name)
        self.page.keyboard.press("Enter" if role in ("link", "button") else "Space")

    def slide(self, name: str, steps: int) -> None:
        tab_to(self.page, "slider", name)
        for _ in range(steps):
            self.page.keyboard.press("ArrowRight")

    def give(self, name: str, value: int) -> None:
        tab_to(self.page, "spinbutton", name)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(str(value))
        self.page.keyboard.press("Enter")


@dataclass(frozen=True)
class Other:
    """A study that is served.

    Attributes:
        experts: their names.
        models: how many unmerged models are scored first.
        views: of Explore; the first is shown at first.
        hand: what works the pages.
        path: where they are entered.
    """

    served: Served
    experts: tuple[str, ...]
    models: int
    views: tuple[str, ...]
    hand: type[Hand]
    path: str


def write_study(family: FamilyFiles, kind: str) -> tuple[Path, tuple[str, ...]]:
    """A study of this kind, and the names of its experts."""
    short = {
        each["name"]: {**each, "name": NAMES[each["name"]], "limit": 6}
        for each in OBJECTIVES
        if each["name"] in NAMES
    }
    if kind == "one":
        return family.study("terse", objectives=[short["exact"]], name="one"), ("terse",)
    experts = {name: family.experts[each] for name, each in EXPERTS.items()}
    wide = replace(family, experts=experts)
    return wide.study(*experts, objectives=list(short.values()), name="a wide study"), (*experts,)


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> FamilyFiles:
    return build_tied_family(tmp_path_factory.mktemp("family"))


@pytest.fixture(scope="module", params=["one", "wide"])
def other(
    request: pytest.FixtureRequest, family: FamilyFiles, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Other]:
    study, experts = write_study(family, request.param)
    flat = ("Curve", "Surface", "Parallel")
    facts = quote_plus(NAMES["exact"])  # on both axes: all that a study with one objective has
    ways: dict[str, tuple[tuple[str, ...], type[Hand], str]] = {
        "one": (flat, Keys, f"/?x={facts}&y={facts}"),
        "wide": (("Trade-off", *flat), Hand, "/"),
    }
    with Served(study, tmp_path_factory.mktemp("home"), device="cpu") as served:
        yield Other(served, experts, len(experts) + 1, *ways[request.param])


class Looking:
    """Looks at a page in both themes, and keeps what is wrong with it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.found: list[str] = []

    def whole(self, where: str) -> None:
        """Nothing failed, nothing is wider than the window."""
        expect(self.page.locator(".stException, .st-key-unforeseen")).to_have_count(0)
        if self.page.evaluate(TOO_WIDE) > 0:
            self.found.append(f"{where}: wider than the window")

    def closely(self, where: str) -> None:
        """Nor is anything serious for axe, light and dark."""
        self.whole(where)
        for scheme, options in SCHEMES.items():
            wear(self.page, scheme)
            self.found += inspect(self.page, f"{where}, {scheme}", options)
        wear(self.page, "light")


def is_on_first_screen(page: Page, name: str) -> bool:
    """Whether a button is whole in a window of 720 pixels."""
    box = page.get_by_role("button", name=name, exact=True).first.bounding_box()
    assert box is not None
    return box["y"] + box["height"] <= 720


def count(page: Page, points: int) -> None:
    """Wait until the header counts so many points."""
    page.get_by_text(f"{points} points", exact=True).wait_for()


def explore(page: Page, other: Other, hand: Hand, look: Looking) -> None:
    """The chart in every view, and a point more by the sliders."""
    page.get_by_text("worker ready").wait_for()
    count(page, other.models)
    wait_for_chart(page)
    expect(page.get_by_role("radio", name=other.views[0])).to_be_checked()
    assert is_on_first_screen(page, "Evaluate")
    page.wait_for_function(
        NAMED, arg=other.models
    )  # the last model's score may still be on its way
    _, met = page.evaluate(LABELS)
    assert met == []
    look.closely("Explore")

    hand.slide(other.experts[0], 5)
    with redrawn(page):
        hand.press("button", "Evaluate")
        count(page, other.models + 1)
    expect(page.locator(".mark.here")).to_have_attribute("data-kind", "measured")
    for view in other.views[1:]:
        hand.press("radio", view)
        if view == "Surface":
            crossed = len(other.experts) > 1
            why = "Too few points of this method" if crossed else "A surface needs a method with"
            page.get_by_text(why).wait_for()
        elif view == "Parallel":
            page.wait_for_selector(".parallel[data-drawn]")
        else:
            page.wait_for_function(CURVE)
            assert page.evaluate(WORDS_INSIDE)
        look.whole(f"Explore, {view}")
    hand.press("button", "Compare")
    page.get_by_role("button", name="In tray").wait_for()


def test_every_page_of_another_study(chrome: Browser, other: Other) -> None:
    page = other.served.open(chrome, other.path, color_scheme="light")
    hand, look = other.hand(page), Looking(page)
    explore(page, other, hand, look)

    hand.turn_to("Compare")
    hand.press("button", "Answer")
    page.get_by_text("Answered.").wait_for()
    look.closely("Compare")

    hand.turn_to("Sweeps")
    hand.give("Points per method", 3)
    hand.press("button", "Estimate")
    page.get_by_role("button", name="Start", exact=True).wait_for()
    hand.press("button", "Start")
    count(page, other.models + 4)
    expect(page.locator(".st-key-sweep_running")).to_contain_text("No sweep is running.")
    page.wait_for_selector(".st-key-sweep_chart_panel .tradeoff[data-drawn]")
    look.closely("Sweeps")

    hand.turn_to("Models")
    page.get_by_text("Compatibility").wait_for()
    look.closely("Models")
    hand.press("tab", "Task vectors")
    hand.press("button", "Measure the task vectors")
    page.locator(".st-key-norms .js-plotly-plot g.heatmaplayer .hm").wait_for(state="attached")
    look.whole("Models, task vectors")

    hand.turn_to("Export")
    export = page.get_by_role("button", name="Export", exact=True)
    expect(export).to_be_enabled()
    hand.press("button", "Export")
    page.get_by_text("Exported.").wait_for()
    page.get_by_text("Verified").first.wait_for()
    look.closely("Export")
    assert not look.found, "\n".join(look.found)
    assert page.complaints == []  # type: ignore[attr-defined]
    page.context.close()
