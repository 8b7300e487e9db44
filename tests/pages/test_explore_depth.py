"""Coefficients by depth on Explore: sliders folded under each expert's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from engine.recipe import Recipe, resolve
from studio.workbench import Workbench
from tests.app_fixtures import page, texts, widget
from tests.pages.test_explore_curve import chart
from tests.pages.test_explore_views import measure


def banded(c: str = "helpful:0.5,terse:0.5", groups: int = 2) -> AppTest:
    at = page("explore")
    at.query_params["method"] = "task_arithmetic"
    at.query_params["c"] = c
    at.query_params["p"] = f"groups:{groups}"
    return at.run()


def standing(at: AppTest) -> dict[str, float]:
    found = [each for each in at.slider if "." in each.key.split(":")[0]]
    return {each.label: round(each.value, 4) for each in found}


def linked(at: AppTest) -> str:
    links = [each.proto for each in at.get("page_link") if each.proto.label == "Export…"]
    [said] = [each.query_string for each in links if "c=" in each.query_string]
    return str(said).replace("%3A", ":").replace("%2C", ",").replace("%40", "@")


def test_the_main_slider_moves_all_bands_and_stands_at_their_mean(bench: Workbench) -> None:
    at = banded()
    assert not at.exception
    assert standing(at) == {
        "helpful": 0.5, "helpful@1": 0.5, "helpful@2": 0.5,
        "terse": 0.5, "terse@1": 0.5, "terse@2": 0.5,
    }  # fmt: skip
    widget(at.slider, "helpful@2").set_value(0.9).run()
    assert (found := standing(at))["helpful@1"] == 0.5 and found["helpful"] == 0.7
    assert "c=helpful@1:0.5,helpful@2:0.9,terse@1:0.5" in linked(at)
    widget(at.slider, "helpful").set_value(0.2).run()
    assert (found := standing(at))["helpful@1"] == found["helpful@2"] == 0.2
    assert found["terse"] == 0.5
    widget(at.slider, "helpful@1").set_value(1.0).run()
    assert standing(at)["helpful"] == 0.6 and "helpful@1:1,helpful@2:0.2" in linked(at)
    assert not at.exception


def test_an_address_holds_every_band(bench: Workbench) -> None:
    at = banded("helpful@1:0.25,helpful@2:0.75,terse@1:0,terse@2:1.2")
    found = standing(at)
    assert (found["helpful@1"], found["helpful"], found["terse@2"]) == (0.25, 0.5, 1.2)
    assert "helpful@1:0.25,helpful@2:0.75,terse@1:0,terse@2:1.2" in linked(at)
    assert "groups:2" in linked(at)


def test_bands_come_and_go_on_apply(bench: Workbench) -> None:
    at = page("explore").run()
    widget(at.slider, "helpful").set_value(1.1).run()
    widget(at.number_input, "groups").set_value(2)
    press(at, "Apply")
    assert (found := standing(at))["helpful@1"] == found["helpful@2"] == found["helpful"] == 1.1
    widget(at.slider, "helpful@1").set_value(0.1).run()
    widget(at.number_input, "groups").set_value(1)
    press(at, "Apply")
    assert standing(at) == {"helpful": 0.6, "terse": 0.5} and "groups" not in linked(at)
    assert not at.exception


def press(at: AppTest, label: str) -> None:
    [button] = [each for each in at.button if each.label == label]
    button.click().run()


def test_no_more_bands_than_layers_are_offered(bench: Workbench) -> None:
    at = page("explore").run()
    layers = bench.names.layers
    assert layers > 1 and widget(at.number_input, "groups").max == layers
    refused = banded(groups=layers + 1)
    assert any(f"but the models have {layers} layers" in each for each in [texts(refused)])


def test_undo_takes_back_one_band(bench: Workbench) -> None:
    at = banded()
    before = standing(at)
    widget(at.slider, "terse@1").set_value(0.9).run()
    at.button(key="hand_undo").click().run()
    assert standing(at) == before
    at.button(key="hand_redo").click().run()
    assert standing(at)["terse@1"] == 0.9 and standing(at)["terse"] == 0.7
    assert not at.exception


def test_a_press_takes_the_move_of_a_main_slider_that_came_along(bench: Workbench) -> None:
    at = banded()
    widget(at.slider, "helpful@1").set_value(0.9).run()
    widget(at.slider, "helpful").set_value(0.3)
    at.button(key="compare_recipe").click().run()
    tray: Any = at.session_state["tray"]
    assert dict(tray[0].coefficients) == {
        "helpful@1": 0.3, "helpful@2": 0.3, "terse@1": 0.5, "terse@2": 0.5,
    }  # fmt: skip
    assert standing(at)["helpful@1"] == 0.3


def test_a_press_takes_the_move_of_a_band_that_came_along(bench: Workbench) -> None:
    at = banded()
    widget(at.slider, "terse@2").set_value(0.25)
    at.button(key="compare_recipe").click().run()
    assert at.session_state["tray"][0].coefficients["terse@2"] == 0.25
    assert standing(at)["terse"] == 0.375


@pytest.mark.parametrize("method", ["task_arithmetic", "linear"])
def test_every_view_has_an_axis_for_each_band(bench: Workbench, method: str) -> None:
    rng = np.random.default_rng(2)
    names = ("helpful@1", "helpful@2", "terse@1", "terse@2") + ("base@1", "base@2") * (
        method == "linear"
    )
    recipes = [
        resolve(
            Recipe(method, dict(zip(names, rng.uniform(0.1, 1.2, 6).round(2), strict=False)),
                   {"groups": 2}),
            bench.names,
        )
        for _ in range(20)
    ]  # fmt: skip
    measure(bench, recipes)
    at = page("explore")
    at.query_params["point"] = bench.point_id(recipes[0])
    at.run()
    assert standing(at)["helpful@2"] == recipes[0].coefficients["helpful@2"]
    for view in ("Curve", "Surface", "Parallel"):
        at.button_group(key="view:kind").set_value(view).run()
        assert not at.exception, view
        if view == "Curve":
            along = at.selectbox(key="view:across").options
            assert along == [f"Along: {name}" for name in recipes[0].coefficients]
            at.selectbox(key="view:across").set_value("helpful@2").run()
            assert not at.exception and chart(at)["layout"]["meta"]["curve"]["share"] is False
    assert ("Shares: " in texts(at)) == (method == "linear")
