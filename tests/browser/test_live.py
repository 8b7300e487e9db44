"""What follows a slider in the browser before Python has answered, and that Python then agrees."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.driver import Served, slider, wait_for_chart

pytestmark = pytest.mark.browser

LISTEN = """() => {
    const root = document.querySelector('.readout');
    window.heard = [];
    new MutationObserver(() => window.heard.push([root.dataset.recipe, root.innerText]))
        .observe(root, { attributes: true, attributeFilter: ['data-recipe'] });
}"""


RECIPE = "document.querySelector('.readout').dataset.recipe"

REPLACED = """() => {
    const place = document.createElement('div');
    place.className = 'stElementContainer';
    place.dataset.retained = 'true';
    place.innerHTML = '<input type=range min=0 max=1.5 step=0.01 value=1.2 aria-label=helpful>';
    document.querySelector('.st-key-controls').append(place);
}"""
"""A slider that another has replaced, as Streamlit keeps it until the run has ended."""


def moves(page: Page, name: str, key: str) -> list[list[str]]:
    """Each [recipe, words] of the readout after a key on a slider, until Python has answered.
    What the browser says by itself has no recipe."""
    page.wait_for_function(RECIPE)
    before = page.evaluate(RECIPE)
    page.evaluate(LISTEN)
    slider(page, name).press(key)
    page.wait_for_function(
        "before => window.heard.length && ![before, ''].includes(window.heard.at(-1)[0])",
        arg=before,
    )
    # a run that the key did not ask for may say once more what stood there before it
    heard: list[list[str]] = page.evaluate("window.heard")
    found = [each for each in heard if each[0] != before]
    return found


@pytest.mark.parametrize(
    ("method", "c"),
    [
        ("task_arithmetic", "helpful:0.53,harmless:0.71,honest:0.24"),
        ("linear", "base:0.31,helpful:0.53,harmless:0.71,honest:0.24"),
        ("proxy_tuning", "helpful:0.33,harmless:0.21,honest:0.4"),
    ],
)
def test_the_browser_predicts_what_python_does(
    shipped: Served, chrome: Browser, method: str, c: str
) -> None:
    page = shipped.open(chrome, f"/?method={method}&c={c}")
    wait_for_chart(page)
    expect(page.locator(".readout")).to_contain_text("Predicted, not measured")
    for name, key in (("helpful", "ArrowRight"), ("honest", "ArrowLeft")):
        alone, *_, answered = moves(page, name, key)
        assert alone[0] == "" and answered[0] != ""
        assert alone[1] == answered[1] and "not predicted" not in alone[1]
    assert page.complaints == []
    page.context.close()


def test_words_and_mark_follow_a_slider_that_is_held(shipped: Served, chrome: Browser) -> None:
    page = shipped.open(chrome, "/?method=task_arithmetic&c=helpful:0.2,harmless:0.2,honest:0.2")
    wait_for_chart(page)
    expect(page.locator(".readout")).to_contain_text("Predicted, not measured")
    thumb = slider(page, "helpful").locator("xpath=ancestor::*[contains(@class,'humb')][1]")
    box = (thumb if thumb.count() else slider(page, "helpful")).bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    seen = []
    for step in range(1, 5):
        page.mouse.move(x + 15 * step, y)
        page.evaluate(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        seen.append(
            page.evaluate(
                "[document.querySelector('.readout').innerText,"
                " document.querySelector('.mark.here').style.transform]"
            )
        )
    page.mouse.up()
    assert len({words for words, _ in seen}) == len({place for _, place in seen}) == 4
    expect(page.locator(".readout")).not_to_have_attribute("data-recipe", "")
    assert page.locator(".readout").inner_text() == seen[-1][0]
    page.evaluate(REPLACED)
    alone, *_, answered = moves(page, "honest", "ArrowRight")
    assert alone[1] == answered[1]
    assert page.complaints == []
    page.context.close()


def test_a_measured_recipe_is_said_to_be_measured_again(shipped: Served, chrome: Browser) -> None:
    page = shipped.open(chrome, "/?method=task_arithmetic&c=helpful:0.11,harmless:0.12,honest:0.13")
    wait_for_chart(page)
    page.get_by_text("worker ready").wait_for()
    page.get_by_role("button", name="Evaluate").click()
    page.wait_for_selector(".readout .title.whole")
    away, *_ = moves(page, "helpful", "ArrowRight")
    assert "Predicted, not measured" in away[1]
    back = moves(page, "helpful", "ArrowLeft")
    assert "Predicted, not measured" in back[0][1]
    assert back[-1][1].startswith("Measured")
    assert page.locator(".mark.here").get_attribute("data-kind") == "measured"
    assert page.complaints == []
    page.context.close()
