"""Every text around a chart is readable, light and dark: WCAG's 4.5 : 1 against the page."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.driver import Served, redrawn, wait_for_chart
from tests.browser.hands import choose, measure_vectors
from tests.browser.test_accessibility import wear

pytestmark = pytest.mark.browser

LEAST = 4.5

TEXTS = """(selector) => {
    const canvas = document.createElement('canvas');
    const context = canvas.getContext('2d', { willReadFrequently: true });
    const over = (colours) => {
        for (const [colour, alpha] of colours) {
            context.globalAlpha = alpha;
            context.fillStyle = colour;
            context.fillRect(0, 0, 1, 1);
        }
        return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
    };
    const light = (colour) => {
        const [r, g, b] = colour.map((each) => each / 255)
            .map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const paper = getComputedStyle(document.querySelector('.stApp')).backgroundColor;
    const ratio = (colour, alpha) => {
        const [one, other] = [over([[paper, 1]]), over([[paper, 1], [colour, alpha]])].map(light);
        return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    };
    const chart = document.querySelector(selector);
    const found = [];
    const plain = ':is(.xtick, .ytick, .cbaxis, .legend, .infolayer, .annotation) text';
    const own = '.name, .end, .words, .entry, .picture';
    for (const each of chart.querySelectorAll(`${plain}, ${own}`)) {
        if (!each.textContent.trim() || !each.getBoundingClientRect().width) continue;
        let alpha = 1;
        for (let at = each; at !== chart; at = at.parentElement)
            alpha *= getComputedStyle(at).opacity;
        const style = getComputedStyle(each);
        const colour = each instanceof SVGElement ? style.fill : style.color;
        alpha *= each instanceof SVGElement ? style.fillOpacity : 1;
        found.push([each.textContent.trim(), ratio(colour, alpha)]);
    }
    const scene = chart._fullLayout?.scene;
    for (const name of scene ? ['xaxis', 'yaxis', 'zaxis'] : []) {
        const { title, tickfont } = scene[name];
        found.push([`${name} title`, ratio(title.font.color, 1)]);
        found.push([`${name} ticks`, ratio(tickfont.color, 1)]);
    }
    return found;
}"""
"""Each text of ticks, axes, legend, colour bar and notes, and its contrast with the page. A scene
draws its text where no style is seen, in the colours of its layout."""


def view(page: Page, name: str) -> None:
    with redrawn(page):
        page.get_by_role("radio", name=name).click()


def depth(page: Page) -> None:
    with redrawn(page):
        choose(page, "Depth", "fluency")
    page.wait_for_function("document.querySelector('.tradeoff')._fullLayout.scene?._scene")


STEPS: dict[str, Any] = {
    "trade-off": lambda page: None,
    "curve": lambda page: view(page, "Curve"),
    "surface": lambda page: view(page, "Surface"),
    "parallel": lambda page: view(page, "Parallel"),
    "depth": lambda page: (view(page, "Trade-off"), depth(page)),
}


def pale(page: Page, where: str, chart: str = ".tradeoff, .parallel") -> list[str]:
    """The texts of a chart that are too pale, in both themes."""
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    found = []
    for scheme in schemes:
        wear(page, scheme)
        page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
        texts = page.evaluate(TEXTS, chart)
        assert len(texts) > 4, (where, texts)
        found += [
            f"{where}, {scheme}: {text} {ratio:.2f}" for text, ratio in texts if ratio < LEAST
        ]
    return found


def test_all_text_of_every_view_stands_out_from_the_page(shipped: Served, chrome: Browser) -> None:
    page = shipped.open(chrome, "/?colour=facts")
    page.get_by_text("worker ready").wait_for()
    wait_for_chart(page)
    found = []
    for name, turn in STEPS.items():
        turn(page)
        found += pale(page, name)
    assert found == []
    page.context.close()


def test_all_text_of_the_charts_of_task_vectors_does(app: Served, chrome: Browser) -> None:
    page = app.open(chrome, "/models")
    page.get_by_role("tab", name="Task vectors").click()
    measure_vectors(page)
    found = []
    for chart in (".st-key-norms .js-plotly-plot", ".st-key-cosines .js-plotly-plot"):
        page.locator(chart).wait_for()
        found += pale(page, chart, chart)
    assert found == []
    page.context.close()
