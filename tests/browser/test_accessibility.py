"""Every page through axe-core, light and dark: nothing serious may be wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.browser.driver import Served, redrawn, wait_for_chart
from tests.browser.hands import add_to_tray, answer, export

pytestmark = pytest.mark.browser

WRONG = ("serious", "critical")
ALL = {"resultTypes": ["violations"]}
SCHEMES: dict[Literal["light", "dark"], dict[str, object]] = {
    "light": ALL,
    "dark": {**ALL, "runOnly": ["color-contrast"]},
}
"""What is asked of a page; another theme changes its colours and nothing else."""


SETTLED = """() => document.getAnimations().every(each => each.playState !== 'running'
    || each.effect.getComputedTiming().endTime === Infinity)"""
"""No transition is under way. Asked of every frame: the promise of an animation whose page draws
no more frames, or whose element was replaced meanwhile, may never be kept."""


def inspect(page: Page, where: str, options: dict[str, object]) -> list[str]:
    """What axe finds that is serious: the rule, the element, and why."""
    page.mouse.move(0, 0)
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    page.wait_for_function(SETTLED)
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{where}: {each['id']}, {node['target']}: {node['failureSummary']}"
        for each in found
        if each["impact"] in WRONG
        for node in each["nodes"]
    ]


def turn_to(page: Page, name: str, sign: str) -> None:
    """Go to a page by its link, until `sign` is there."""
    page.get_by_role("link", name=name, exact=True).click()
    page.wait_for_url(f"**/{name.lower()}?*")
    page.locator(sign).first.wait_for()


def explore(page: Page) -> Iterator[str]:
    """Explore in each of its states, one after the other."""
    page.get_by_text("worker ready").wait_for()
    wait_for_chart(page)
    yield "Explore, trade-off and recipe"
    page.get_by_role("tab", name="Preference").click()
    page.wait_for_selector(".st-key-take")
    with redrawn(page):
        page.get_by_role("radio", name="Surface").click()
    yield "Explore, surface and preference"
    with redrawn(page):
        page.get_by_role("radio", name="Parallel").click()
    page.get_by_role("button", name="Bounds").click()
    page.locator(".st-key-bounds_panel").wait_for()
    yield "Explore, parallel and bounds"
    page.keyboard.press("Escape")
    page.locator(".st-key-bounds_panel").wait_for(state="hidden")


def others(page: Page) -> Iterator[str]:
    """The other pages."""
    turn_to(page, "Compare", "text=Nothing to compare yet.")
    add_to_tray(page, ["helpful", "harmless"])
    answer(page)
    yield "Compare"
    page.get_by_role("button", name="Vote blind").click()
    page.locator(".ballot .words").wait_for()
    yield "Compare, blind votes"
    page.keyboard.press("1")
    page.locator(".ballot .words").filter(has_text="1 of").wait_for()
    page.get_by_role("button", name="End and reveal").click()
    page.locator(".st-key-votes").wait_for()
    page.locator(".st-key-judge summary").click()
    yield "Compare, votes and a judge"
    turn_to(page, "Sweeps", ".st-key-sweep_chart_panel .tradeoff[data-drawn]")
    yield "Sweeps"
    turn_to(page, "Models", "text=Compatibility")
    yield "Models, family"
    for name in ("Task vectors", "Objectives", "Results of others", "Open another study"):
        page.get_by_role("tab", name=name).click()
        page.get_by_role("tabpanel", name=name).wait_for()
        yield f"Models, {name}"
    turn_to(page, "Export", "text=Directory on this server")
    yield "Export"
    export(page)
    yield "Export, done"


def mixtures(page: Page) -> Iterator[str]:
    """Compare of a mixture: who said it, with the numbers of a token, and its ribbon."""
    answer(page)
    page.get_by_text("Who said it").click()
    page.locator(".answers .text .who").first.wait_for()
    text = page.locator(".answers .text").first
    text.focus()
    text.press("ArrowRight")
    page.get_by_role("tooltip").filter(has_text="probability").wait_for()
    yield "Compare, who said it"
    page.get_by_role("button", name="Map", exact=True).click()
    page.locator(".ribbon input").wait_for()
    page.locator(".ribbon input").press("ArrowRight")
    yield "Compare, ribbon"


def wear(page: Page, scheme: Literal["light", "dark"]) -> None:
    """Change the theme as the system's settings would, until the page has followed."""
    page.emulate_media(color_scheme=scheme)
    page.wait_for_function(
        "dark => { const [red] = getComputedStyle(document.querySelector('.stApp'))"
        ".backgroundColor.match(/\\d+/g).map(Number); return (red < 128) === dark; }",
        arg=scheme == "dark",
    )


def wrong(page: Page, *walks: Callable[[Page], Iterator[str]]) -> list[str]:
    """What is serious in any state of the walks, in both themes."""
    found = []
    for walk in walks:
        for where in walk(page):
            for scheme, options in SCHEMES.items():
                wear(page, scheme)
                found += inspect(page, f"{where}, {scheme}", options)
    return found


def test_nothing_serious_is_wrong(shipped: Served, chrome: Browser) -> None:
    page = shipped.open(
        chrome, "/?y=refusals&z=fluency&over=facts,refusals,fluency"
    )  # a scene, and the pad
    found = wrong(page, explore, others)
    assert not found, "\n".join(found)
    assert page.complaints == []
    page.context.close()


def test_nothing_serious_is_wrong_with_mixtures(shipped: Served, chrome: Browser) -> None:
    columns = "proxy_tuning(helpful:0.5;harmless:0),dynamic_fusion(helpful:1;harmless:1),base"
    page = shipped.open(chrome, f"/compare?points={columns}&objective=refusals")
    page.get_by_text("worker ready").wait_for()
    found = wrong(page, mixtures)
    assert not found, "\n".join(found)
    assert page.complaints == []
    page.context.close()
