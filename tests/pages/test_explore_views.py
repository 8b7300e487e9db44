"""Explore's other views, predictions, bounds, preference and address, driven without a browser."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from engine.recipe import Recipe, resolve
from studio.decide.noise import noise
from studio.decide.preference import Preference
from studio.points import predicting
from studio.points.view import axes_of
from studio.workbench import Workbench
from tests.app_fixtures import page, preferring, texts, until, whole, widget


def measure(bench: Workbench, recipes: list[Recipe]) -> None:
    count = len(bench.measured()) + len(recipes)
    bench.evaluate(recipes, "a test", "test")
    until(lambda: bench.advance() or whole(bench, count))


def mix(bench: Workbench, helpful: float, terse: float) -> Recipe:
    recipe = Recipe("task_arithmetic", {"helpful": helpful, "terse": terse})
    return resolve(recipe, bench.names)


@pytest.fixture
def swept(bench: Workbench) -> Workbench:
    """Twelve points of task arithmetic beside the models."""
    grid = [(a, b) for a in (0.2, 0.5, 0.8, 1.1) for b in (0.3, 0.6, 0.9)]
    measure(bench, [mix(bench, *each) for each in grid])
    return bench


def readout(at: AppTest) -> dict[str, Any]:
    """What the component beside the sliders was given."""
    for each in at.get("bidi_component"):
        if "readout" in each.proto.component_name:
            return json.loads(each.proto.json)
    raise AssertionError("there is no readout on the page")


def test_too_few_points_are_said_and_the_missing_ones_can_be_measured(bench: Workbench) -> None:
    at = page("explore").run()
    assert "Too few points to predict" in readout(at)["note"]
    before = len(bench.measured())
    button = at.button(key="missing")
    count = int(button.label.split()[1])
    button.click().run()
    until(lambda: bench.advance() or whole(bench, before + count))
    at.run()
    assert not at.exception
    assert readout(at)["title"] == "Predicted, not measured"
    assert not [each for each in at.button if each.key == "missing"]


def test_one_missing_point_is_not_one_points(bench: Workbench) -> None:
    asked = (bench.objectives, mix(bench, 0.5, 0.5), bench.study, bench.names)
    missing = predicting.missing_recipes(bench.measured(), *asked)
    measure(bench, missing[1:])
    button = page("explore").run().button(key="missing")
    assert button.label == "Measure 1 point to predict from"


def test_a_slider_moves_the_predicted_mark_and_a_measured_recipe_fills_it(swept: Workbench) -> None:
    at = page("explore").run()
    first = readout(at)["mark"]
    assert first["kind"] == "predicted"
    widget(at.slider, "helpful").set_value(1.0).run()
    moved = readout(at)["mark"]
    assert moved["values"]["facts"] > first["values"]["facts"]
    low, high = moved["bands"]["facts"]
    assert low <= moved["values"]["facts"] <= high
    assert moved["values"]["facts"] == pytest.approx(0.5 + 0.3 - 0.05, abs=0.05)
    at.button(key="evaluate").click().run()
    until(lambda: backend_has(swept, 17))
    at.run()
    assert readout(at)["mark"]["kind"] == "measured"


def backend_has(bench: Workbench, count: int) -> bool:
    bench.advance()
    return len(bench.measured()) == count


def test_a_surface_is_drawn_over_two_coefficients(swept: Workbench) -> None:
    at = page("explore").run()
    at.button_group(key="view:kind").set_value("Surface").run()
    assert not at.exception
    assert at.selectbox(key="view:across").value == "helpful"
    assert at.selectbox(key="view:up").value == "terse"
    at.selectbox(key="view:objective").set_value("loss").run()
    at.selectbox(key="view:form").set_value("3d").run()
    assert not at.exception
    widget(at.selectbox, "Method").set_value("single").run()
    assert "A surface needs a method with at least two coefficients" in texts(at)


def test_parallel_shows_every_objective(swept: Workbench) -> None:
    at = page("explore")
    at.query_params["view"] = "parallel"
    at.run()
    assert not at.exception
    at.toggle(key="view:coefficients").set_value(True).run()
    assert not at.exception
    at.multiselect(key="view:axes").set_value(["loss", "facts"]).run()
    assert not at.exception
    assert at.query_params["axes"] == "loss,facts,c:helpful,c:terse"
    assert at.query_params["coefficients"] == "1"


def test_bounds_filter_points_table_and_pick(swept: Workbench) -> None:
    measured = swept.measured()
    facts = measured.mean[:, measured.column("facts")]
    best = float(np.sort(facts)[-2])
    at = page("explore")
    at.query_params["bounds"] = f"facts:{best:g}.."
    at.run()
    assert not at.exception
    kept = int((facts >= float(f"{best:g}")).sum())
    assert kept < len(measured)
    assert f"facts at least {best:g}: {kept} of {len(measured)} points." in texts(at)
    assert f"{len(measured) - kept} points do not meet the bounds." in texts(at)
    assert len(at.dataframe[0].value) == kept
    at.button(key="no_bounds").click().run()
    assert len(at.dataframe[0].value) == len(measured)
    assert "bounds" not in at.query_params


def test_a_pick_meets_the_bounds_of_an_address_at_once(swept: Workbench) -> None:
    """The preference is drawn before the chart, which has the bounds' sliders."""
    measured = swept.measured()
    facts = measured.mean[:, measured.column("facts")]
    most = float(np.sort(facts)[-3])
    at = page("explore")
    at.query_params["prefer"] = "facts:1.00,manners:0.00"
    at.query_params["bounds"] = f"facts:..{most:g}"
    at.run()
    assert not at.exception
    [mark] = [json.loads(each.proto.json)["mark"] for each in at.get("bidi_component")
              if "picked" in each.proto.component_name]  # fmt: skip
    assert facts[measured.row_of[mark["point"]]] <= float(f"{most:g}") < facts.max()


def test_sliders_of_a_preference_are_drawn_once_its_tab_is_open(swept: Workbench) -> None:
    at = page("explore")
    at.query_params["prefer"] = "facts:1.00,manners:0.00"
    at.run()

    def weighed() -> list[float]:
        return [each.value for each in at.slider if (each.key or "").startswith("weight:")]

    def marked() -> str:
        mounted = [each.proto for each in at.get("bidi_component")]
        [found] = [each.json for each in mounted if "picked" in each.component_name]
        return str(json.loads(found)["mark"]["point"])

    before = marked()
    assert weighed() == []
    at.session_state["side"] = "Preference"
    at.run()
    assert weighed() == [1.0, 0.0, 0.0] and marked() == before
    at.session_state["side"] = "Recipe"
    at.run()
    assert weighed() == [] and marked() == before
    at.session_state["side"] = "Preference"
    at.run()
    assert weighed() == [1.0, 0.0, 0.0] and marked() == before


def test_a_preference_says_how_sure_its_pick_is_and_may_be_cautious(swept: Workbench) -> None:
    at = preferring()
    at.query_params["prefer"] = "facts:1.00,manners:0.00"
    at.run()
    until(lambda: noise(swept).version)
    at.run()
    assert "Picked again with probability" in texts(at) and "paired" in texts(at)
    [control] = [each for each in at.button_group if each.label == "Judge scores by"]
    control.set_value(1.0).run()
    assert not at.exception and at.query_params["cautious"] in ("1", ["1"])


def test_a_preference_picks_a_point_and_its_recipe_is_one_click_away(swept: Workbench) -> None:
    at = preferring()
    at.query_params["prefer"] = "facts:1.00,manners:0.00"
    at.run()
    assert not at.exception
    measured = swept.measured()
    facts = measured.mean[:, measured.column("facts")]
    links = [each.proto for each in at.get("page_link") if each.proto.label == "Export…"]
    link = links[-1]  # the pick's; the one before is the recipe's
    assert facts[measured.row_of[link.query_string.removeprefix("point=")]] == facts.max()
    at.button(key="take").click().run()
    at.run()
    hand = at.session_state["hand"]
    [row] = [
        row for row, each in enumerate(measured.recipes)
        if (each.method, dict(each.coefficients), dict(each.parameters))
        == (hand.method, hand.coefficients[hand.method], hand.parameters[hand.method])
    ]  # fmt: skip
    assert facts[row] == facts.max()
    assert "Why this one" in [each.label for each in at.expander]


def test_the_pick_is_that_of_a_weight_that_moved_along_with_the_press(swept: Workbench) -> None:
    at = preferring()
    at.query_params["prefer"] = "facts:1.00,manners:0.00"
    at.run()
    measured = swept.measured()
    manners = measured.mean[:, measured.column("manners")]
    assert manners[np.argmax(measured.mean[:, measured.column("facts")])] < manners.max()
    [weight] = [
        each
        for each in at.slider
        if each.key and each.key.startswith("weight:") and "manners" in each.label
    ]
    weight.set_value(1.0)
    at.button(key="compare_pick").click().run()
    [recipe] = at.session_state["tray"]
    assert manners[measured.recipes.index(recipe)] == manners.max()


def test_the_address_says_what_is_shown_and_restores_it(swept: Workbench) -> None:
    at = page("explore").run()
    widget(at.slider, "helpful").set_value(0.77).run()
    at.selectbox(key="view:y").set_value("loss").run()
    at.toggle(key="view:knees").set_value(True).run()
    said = dict(at.query_params.items())
    assert said["c"] == "helpful:0.77,terse:0.5"
    again = page("explore")
    for name, value in said.items():
        again.query_params[name] = value
    again.run()
    assert not again.exception
    assert widget(again.slider, "helpful").value == 0.77
    assert again.selectbox(key="view:y").value == "loss"
    assert again.toggle(key="view:knees").value is True


@pytest.mark.parametrize(
    "asked",
    [{"method": "magic", "c": "helpful:1"}, {"method": "pcb", "c": "helpful"},
     {"method": "pcb", "c": "nobody:1"}, {"method": "pcb", "c": "helpful:nan"}],
)  # fmt: skip
def test_an_address_that_makes_no_sense_is_said(bench: Workbench, asked: dict[str, str]) -> None:
    at = page("explore")
    for name, value in asked.items():
        at.query_params[name] = value
    at.run()
    assert not at.exception
    assert "This address cannot be used" in texts(at)
    assert widget(at.selectbox, "Method").value == "task_arithmetic"


def test_nonsense_bounds_preferences_and_axes_of_an_address_are_ignored(bench: Workbench) -> None:
    at = page("explore")
    for name in ("bounds", "prefer", "x", "y", "z", "view", "colour", "knees", "over"):
        at.query_params[name] = "<script>:9..x,,:"
    at.run()
    assert not at.exception
    axes = axes_of(bench.objectives)
    kept = at.session_state["preference"][frozenset(axis.name for axis in axes)]
    assert isinstance(kept, Preference) and set(kept.weights.values()) == {0.34, 0.33}


def test_the_table_is_narrowed_to_methods_and_sorts_numbers(swept: Workbench) -> None:
    at = page("explore").run()
    table = at.dataframe[0].value
    assert table["facts"].dtype == float and table["coefficient helpful"].max() == 1.1
    at.get_by_key("sought_methods").set_value(["single"]).run()
    assert not at.exception
    named = {f"single: {name}" for name in swept.names.models}
    assert set(at.dataframe[0].value["method"]) == named
    assert "4 points match the filter." in texts(at)


def test_one_front_is_chosen_once_and_everything_on_the_page_uses_it(swept: Workbench) -> None:
    axes = axes_of(swept.objectives)
    by_name = {axis.name: axis for axis in axes}

    def weighed(at: AppTest) -> list[str]:
        return [each.label.split()[0] for each in at.slider if each.key.startswith("weight:")]

    def said(at: AppTest) -> str:
        labels = [each.proto.popover.label for each in at.get("popover")]
        return next(str(each) for each in labels if each.startswith("Front"))

    measured = swept.measured()
    whole = int(measured.front_of(axes).sum())
    at = preferring().run()
    assert said(at) == "Front over: facts, manners, loss" and "over" not in at.query_params
    assert weighed(at) == ["facts", "manners", "loss"]
    assert f"{whole} of {len(measured)} points on the front." in texts(at)
    [control] = [each for each in at.button_group if each.label == "Front over"]
    control.set_value(["facts", "loss"]).run()
    assert not at.exception
    two = [by_name["facts"], by_name["loss"]]
    count = int(measured.front_of(two).sum())
    assert count != whole
    assert said(at) == "Front over: facts, loss" and at.query_params["over"] == "facts,loss"
    assert weighed(at) == ["facts", "loss"]
    assert f"{count} of {len(measured)} points on the front." in texts(at)
    assert int(at.dataframe[0].value["front"].sum()) == count
    at.selectbox(key="view:y").set_value("manners").run()  # the axes only show it
    assert f"{count} of {len(measured)} points on the front." in texts(at)
    assert weighed(at) == ["facts", "loss"]
    again = page("explore")
    again.query_params["over"] = "facts,loss,nothing"
    again.run()
    assert said(again) == "Front over: facts, loss"
    at.button(key="front_reset").click().run()
    assert said(at) == "Front over: facts, manners, loss" and "over" not in at.query_params


def test_constraints_trades_and_a_utility_decide_the_pick(swept: Workbench) -> None:
    """From the address into the fields; what is written there counts for pick and chart, and what
    cannot be read is said."""
    measured = swept.measured()
    facts, manners = (measured.mean[:, measured.column(name)] for name in ("facts", "manners"))
    at = preferring()
    at.query_params["utility"] = "2*manners - facts"
    at.run()
    assert not at.exception
    assert at.text_input(key="view:wish:utility").value == "2*manners - facts"
    assert not [each for each in at.slider if each.key.startswith("weight:")]
    links = [each.proto for each in at.get("page_link") if each.proto.label == "Export…"]
    row = measured.row_of[links[-1].query_string.removeprefix("point=")]
    assert (2 * manners - facts)[row] == (2 * manners - facts).max()
    assert "\nUtility " in texts(at)

    at.text_input(key="view:wish:utility").set_value("facts.real").run()
    assert "'facts.real' is not allowed" in texts(at)
    at.text_input(key="view:wish:utility").set_value("")
    at.text_area(key="view:wish:constraints").set_value("facts + manners >= 99").run()
    assert not at.exception
    assert "facts + manners at least 99.000: the pick has" in texts(at)
    assert [each for each in at.slider if each.key.startswith("weight:")]
    assert at.query_params["constraints"] == "facts + manners >= 99"

    again = preferring()
    again.query_params["constraints"] = "facts + manners >= 99"
    again.run()
    # each drawing says it: the browser may never see the first of them
    [field] = [each for each in again.run().text_area if each.key == "view:wish:constraints"]
    assert field.value == field.proto.default == "facts + manners >= 99"


def test_the_pick_is_improved_at_a_press(swept: Workbench) -> None:
    """The run is asked for what the pick was; its point comes with what one objective costs."""
    at = preferring()
    at.query_params["utility"] = "0 - (facts - 0.6)**2 - (manners - 0.6)**2"
    at.run()
    button = at.button(key="improve")
    assert not button.disabled
    button.click().run()
    [task] = [task for name, task in swept.tasks().items() if name.endswith(":improve")]
    until(lambda: task.status.over)
    assert task.status.state == "done"
    until(lambda: (swept.advance(), task.handle.result(0)["point"] in swept.measured().row_of)[1])
    at.run()
    assert not at.exception
    said = texts(at)
    assert "Ended after 4 steps: no small move is better by what was asked." in said
    assert "costs 0.400 of facts." in said and "Held by: terse is at its lowest." in said
    at.button(key="take_improved").click().run()
    assert at.session_state["hand"].coefficients["task_arithmetic"]["helpful"] == 0.77
