"""What is said of an error that no page foresaw, and what is drawn beside it."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from engine.errors import BadInput, ParetoscopeError, Problem
from engine.recipe import Recipe, resolve
from studio.workbench import Workbench
from tests.app_fixtures import page, texts, widget
from ui import tray
from ui.unforeseen import HAPPENED, problems_of


def failing(at: AppTest, bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw a page, and press what raises."""

    def remove(recipe: Recipe) -> None:
        raise ZeroDivisionError(f"no way out\x1b[2J for {recipe.parameters['model']}")

    monkeypatch.setattr(tray, "remove", remove)
    at.session_state["tray"] = [resolve(Recipe("single", {}, {"model": "base"}), bench.names)]
    at.run()
    widget(at.button, "Remove 1").click().run()


def test_a_callback_that_raises_leaves_its_page_and_is_told_until_closed(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    at = page("sweeps")
    failing(at, bench, monkeypatch)
    assert not at.exception
    assert HAPPENED in texts(at)
    assert "ZeroDivisionError: no way out\\x1b[2J for base" in texts(at)
    assert widget(at.button, "Remove 1"), "the page is there"
    assert [each.message for each in caplog.records].count("a callback failed") == 1
    at.run()
    assert HAPPENED in texts(at)
    widget(at.button, "Close").click().run()
    assert HAPPENED not in texts(at) and widget(at.button, "Remove 1")


def test_it_is_told_where_the_study_cannot_be_opened_too(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = page("sweeps")
    failing(at, bench, monkeypatch)
    at.query_params["study"] = "/there/is/none.yaml"
    at.run()
    assert HAPPENED in texts(at) and "This study cannot be opened." in texts(at)


def test_an_error_in_a_line() -> None:
    problems = (Problem("a.yaml:3", "no such name", "Name another"), Problem("b", "c", "d"))
    assert problems_of(BadInput(*problems)) == ("a.yaml:3: no such name. Name another", "b: c. d")
    assert problems_of(ParetoscopeError("full\x1b")) == ("full\\x1b",)
    assert problems_of(ValueError()) == ("ValueError",)
