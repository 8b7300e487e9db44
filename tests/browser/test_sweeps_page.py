"""Sweeps in a real browser: points that appear while they are measured, a queue, and a way back."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.driver import Served, wait_for_chart
from tests.browser.hands import choose

pytestmark = pytest.mark.browser

COUNT = "document.querySelector('.tradeoff')?.data?.[0].x.at(-1)"


def leave_out(page: Page, box: str, names: list[str]) -> None:
    """Take chips out of a multiselect."""
    chips = page.locator(f".st-key-{box}")
    for name in names:
        chips.get_by_role("button", name=f"Remove {name}").click()
        expect(chips.get_by_text(name)).to_have_count(0)


def give(page: Page, label: str, value: int) -> None:
    field = page.get_by_role("spinbutton", name=label)
    field.fill(str(value))
    field.press("Enter")


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def now(page: Page) -> Locator:
    """What runs and what waits."""
    return page.locator(".st-key-sweep_running")


def test_sweeps_run_wait_stop_and_go_on(app: Served, chrome: Browser) -> None:
    page = app.open(chrome, "/sweeps?over=facts,refusals")
    expect(now(page)).to_contain_text("No sweep is running.")
    leave_out(page, "sweep_objectives", ["honesty", "over_refusal", "fluency", "cost"])
    choose(page, "Design", "sobol")
    give(page, "Points per method", 400)
    expect(page.get_by_text("task_arithmetic: 400 points over 3 coefficients")).to_be_visible()
    press(page, "Estimate")
    page.get_by_text(re.compile(r"^399 new points \(1 already measured\)\. About ")).wait_for()
    wait_for_chart(page)
    before = page.evaluate(COUNT)
    expect(page.get_by_text(f"after {before} points, in the order measured")).to_be_visible()

    press(page, "Start")
    expect(now(page)).to_contain_text("of 400 points")
    page.wait_for_function(f"before => {COUNT} >= before + 2", arg=before)
    volumes = page.evaluate("document.querySelector('.tradeoff').data[0].y")
    assert volumes == sorted(volumes) and volumes[-1] > 0

    give(page, "Points per method", 3)
    give(page, "Seed", 7)
    press(page, "Estimate")
    page.get_by_text(re.compile(r"^2 new points \(1 already measured\)\. About ")).wait_for()
    press(page, "Start")
    expect(now(page)).to_contain_text("1. in the queue: task_arithmetic")

    press(page, "Cancel")
    expect(now(page)).to_contain_text(re.compile(r"cancelled, \d+ of 400 points"))
    past = page.locator("[data-testid=stDataFrame] table[role=grid]").last
    expect(past).to_contain_text("cancelled")
    expect(past).to_contain_text("done")
    stood = int(re.findall(r"cancelled, (\d+) of 400", now(page).inner_text())[0])

    press(page, "Resume")
    expect(now(page)).to_contain_text(re.compile(r"\d+ of 400 points ·"))
    page.wait_for_function(
        """stood => {
            const words = document.querySelector('.st-key-sweep_running').textContent;
            return Number((words.match(/(\\d+) of 400 points ·/) || [])[1]) > stood;
        }""",
        arg=stood,
    )
    press(page, "Cancel")
    press(page, "Dismiss")
    expect(now(page)).to_contain_text("No sweep is running.")
    assert page.complaints == []
    page.context.close()


def test_every_objective_is_seen_and_start_is_above_the_fold(app: Served, chrome: Browser) -> None:
    page = app.open(chrome, "/sweeps")
    box = page.locator(".st-key-sweep_objectives")
    chips = box.locator("[data-tag], [data-baseweb=tag]")
    expect(chips).to_have_count(6)
    page.get_by_text("worker ready").wait_for()
    frame = box.bounding_box()
    for chip in chips.all():
        at = chip.bounding_box()
        assert frame is not None and at is not None
        assert at["x"] + at["width"] <= frame["x"] + frame["width"] - 30  # beside its buttons
        assert at["y"] + at["height"] <= frame["y"] + frame["height"]
    press(page, "Estimate")
    start = page.get_by_role("button", name="Start", exact=True)
    start.wait_for()
    at = start.bounding_box()
    assert at is not None and at["y"] + at["height"] <= 720
    page.context.close()
