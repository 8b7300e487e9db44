"""Models in a real browser: what is open, task vectors drawn, another study, an objective more."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.sync_api import Browser, Page, expect

from tests.browser.driver import Served, wait_for_chart
from tests.browser.hands import choose, measure_vectors, turn_to

pytestmark = pytest.mark.browser

POINTS = re.compile(r"^\d+ points$")
"""How many depends on the journeys before on the same server."""


def tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def fill(page: Page, values: dict[str, str]) -> None:
    """Fill text fields, and leave the last."""
    for label, value in values.items():
        page.get_by_role("textbox", name=label, exact=True).fill(value)
    page.keyboard.press("Tab")


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def test_the_family_is_checked_and_its_task_vectors_are_drawn(
    app: Served, chrome: Browser, demo: Path
) -> None:
    page = app.open(chrome, "/models")
    table = page.locator("table.listing").first
    for name in ("base", "helpful", "harmless", "honest", "target"):
        expect(table).to_contain_text(name)
    page.set_viewport_size({"width": 900, "height": 720})  # too narrow for the paths
    place = table.locator(".path").first
    seen = place.evaluate(
        """path => { getSelection().selectAllChildren(path);
            const [first, last] = path.children;
            return [path.title, getSelection().toString(), first.clientWidth < first.scrollWidth,
                    last.getBoundingClientRect().right <= innerWidth]; }"""
    )
    whole = str(demo.parent / "models" / "base")
    assert seen == [whole, whole, True, True]  # shortened; pointed at or copied it is whole
    page.set_viewport_size({"width": 1280, "height": 720})
    for check in ("Architecture", "Tensors and shapes", "Token ids", "Chat template", "Values"):
        expect(page.get_by_text(f"✓ {check}")).to_be_visible()
    expect(page.get_by_text("Every value of every model is a finite number.")).to_be_visible()

    tab(page, "Task vectors")
    measure_vectors(page)
    norms = page.locator(".st-key-norms .js-plotly-plot")
    expect(norms.locator("g.heatmaplayer .hm")).to_have_count(1)
    drawn = norms.evaluate("chart => [chart.data[0].y, chart.data[0].z.flat()]")
    assert sorted(drawn[0]) == ["harmless", "helpful", "honest"]
    assert all(value is None or value > 0 for value in drawn[1])
    cosines = page.locator(".st-key-cosines .js-plotly-plot")
    expect(cosines.locator("g.heatmaplayer .hm")).to_have_count(1)
    diagonal = cosines.evaluate("({ data }) => data[0].z.map((row, n) => row[n])")
    assert diagonal == pytest.approx([1.0] * 3, abs=1e-3)
    assert page.complaints == []
    page.context.close()


def test_directories_become_a_study_and_get_an_objective(
    app: Served, chrome: Browser, demo: Path
) -> None:
    page = app.open(chrome, "/models")
    tab(page, "Open another study")
    fill(
        page,
        {
            "Name of the study": "duo",
            "Directory of the base": str(demo.parent / "models" / "base"),
            "Name of expert 1": "helpful",
            "Directory of expert 1": str(demo.parent / "models" / "helpful"),
            "Name of expert 2": "honest",
            "Directory of expert 2": str(demo.parent / "models" / "nowhere"),
        },
    )
    press(page, "Write the study and open it")
    page.get_by_text("Nothing was written.").wait_for()
    expect(page.get_by_text("models/nowhere").first).to_be_visible()
    study = app.home / "studies" / "duo" / "study.yaml"
    assert not study.exists()

    fill(page, {"Directory of expert 2": str(demo.parent / "models" / "honest")})
    press(page, "Write the study and open it")
    page.wait_for_url("**study=**")
    expect(page.get_by_text("duo", exact=True)).to_be_visible()
    expect(page.get_by_text("3 points", exact=True)).to_be_visible()
    assert list(yaml.safe_load(study.read_text())["family"]["experts"]) == ["helpful", "honest"]

    turn_to(page, "Models")
    tab(page, "Objectives")
    fill(page, {"Objective name": "capitals"})
    choose(page, "Scorer", "exact_match")
    fill(page, {"Data file": str(demo.parent / "data" / "facts.jsonl"), "Stop strings": "<b>\\n"})
    page.get_by_role("spinbutton", name="Max new tokens").fill("12")
    page.get_by_role("spinbutton", name="Max examples").fill("8")
    page.get_by_text("Use the chat template").click()
    turn_to(page, "Export")
    turn_to(page, "Models")
    tab(page, "Objectives")
    expect(page.get_by_role("textbox", name="Objective name")).to_have_value("capitals")
    expect(page.get_by_role("spinbutton", name="Max examples")).to_have_value("8")
    press(page, "Preview five examples")
    expect(page.get_by_text("Example 5")).to_be_visible()
    expect(page.get_by_text("examples to explore with")).to_be_visible()
    press(page, "Add to the study")
    page.get_by_text("Added capitals to the study file.").wait_for()
    assert [each["name"] for each in yaml.safe_load(study.read_text())["objectives"]] == [
        "cost",
        "capitals",
    ]

    turn_to(page, "Explore")
    choose(page, "Up", "capitals ↑")
    page.wait_for_function(
        "document.querySelector('.tradeoff')?.layout?.meta?.axes?.[1] === 'capitals'"
        " && document.querySelector('.tradeoff').data.flatMap(t => t.customdata || []).length === 3"
    )
    assert page.complaints == []
    page.context.close()


def objectives_of(study: Path) -> dict[str, dict[str, Any]]:
    """Name -> item, as the study file says it."""
    return {each["name"]: each for each in yaml.safe_load(study.read_text())["objectives"]}


def test_an_objective_is_changed_and_removed(app: Served, chrome: Browser, demo: Path) -> None:
    study = demo.with_name("edited.yaml")
    known = yaml.safe_load(demo.read_text())
    short = [each for each in known["objectives"] if each["name"] in ("facts", "cost")]
    study.write_text(yaml.safe_dump({**known, "study": "edited", "objectives": short}))
    page = app.open(chrome, f"/models?study={study}")
    page.get_by_text(POINTS).first.wait_for()
    tab(page, "Objectives")
    choose(page, "Objective", "facts")
    press(page, "Edit")
    page.get_by_role("heading", name="Edit facts").wait_for()
    expect(page.get_by_role("textbox", name="Objective name")).to_have_value("facts")
    expect(page.get_by_role("textbox", name="Data file")).to_have_value("data/facts.jsonl")
    fill(page, {"Objective name": "rare facts"})
    many = page.get_by_role("spinbutton", name="Max examples")
    expect(many).to_have_value("12")
    many.fill("6")
    press(page, "Save changes")
    page.get_by_text("Changed facts, now rare facts, in the study file.").wait_for()
    assert list(objectives_of(study)) == ["rare facts", "cost"]
    assert objectives_of(study)["rare facts"] == {**short[0], "name": "rare facts", "limit": 6}
    expect(page.get_by_role("heading", name="Add an objective")).to_be_visible()

    turn_to(page, "Explore")
    choose(page, "Up", "rare facts ↑")
    page.wait_for_function(
        "document.querySelector('.tradeoff')?.layout?.meta?.axes?.[1] === 'rare facts'"
        " && document.querySelector('.tradeoff').data.flatMap(t => t.customdata || []).length === 5"
    )
    turn_to(page, "Models")
    tab(page, "Objectives")
    choose(page, "Objective", "rare facts")
    press(page, "Remove…")
    press(page, "Remove it")
    page.get_by_text("Removed rare facts from the study file.").wait_for()
    assert list(objectives_of(study)) == ["cost"]
    expect(page.get_by_role("button", name="Remove…", exact=True)).to_be_disabled()
    page.get_by_text("A study needs at least one objective").wait_for()

    turn_to(page, "Explore")
    expect(page.get_by_role("radio", name="Curve")).to_be_checked()
    wait_for_chart(page)
    page.get_by_text(POINTS).first.wait_for()
    assert page.complaints == []
    page.context.close()
