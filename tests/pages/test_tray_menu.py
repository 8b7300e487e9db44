"""The tray in the header of every page."""

from __future__ import annotations

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from engine.recipe import Recipe, resolve
from studio.workbench import Workbench
from tests.app_fixtures import page, widget

ADD = "Add a model or a point to the tray"


def label(at: AppTest) -> str:
    [found] = [
        label for each in at.get("popover") if (label := each.proto.popover.label)[:4] == "Tray"
    ]
    return str(found)


def link(at: AppTest) -> Any:
    [found] = [
        each.proto for each in at.get("page_link") if each.proto.label == "Compare their answers"
    ]
    return found


def in_tray(at: AppTest) -> list[object]:
    return [recipe.parameters["model"] for recipe in at.session_state["tray"]]


@pytest.mark.parametrize("name", ["explore", "compare", "sweeps", "models", "export"])
def test_every_page_fills_the_tray(bench: Workbench, name: str) -> None:
    at = page(name).run()
    assert label(at) == "Tray 0 of 4" and link(at).disabled
    widget(at.selectbox, ADD).select_index(2).run()
    assert not at.exception
    assert in_tray(at) == ["helpful"]
    assert label(at) == "Tray 1 of 4" and not link(at).disabled
    assert "helpful" not in widget(at.selectbox, ADD).options


def test_what_is_in_the_tray_is_taken_out(bench: Workbench) -> None:
    at = page("sweeps")
    models = ("base", "helpful", "terse", "target")
    at.session_state["tray"] = [
        resolve(Recipe("single", {}, {"model": name}), bench.names) for name in models
    ]
    at.run()
    assert label(at) == "Tray 4 of 4" and widget(at.selectbox, ADD).disabled
    widget(at.button, "Remove 2").click().run()
    assert in_tray(at) == ["base", "terse", "target"]
    assert label(at) == "Tray 3 of 4" and not widget(at.selectbox, ADD).disabled
