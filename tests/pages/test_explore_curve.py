"""Explore where one objective is a chart of its own: the curve, both axes alike, studies of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from studio.workbench import Workbench
from tests.app_fixtures import OBJECTIVES, page, texts, until, widget
from tests.families import FamilyFiles
from tests.pages.test_explore_views import measure, mix
from ui import frame as state


def chart(at: AppTest) -> dict[str, Any]:
    """The figure that the chart was sent."""
    import json

    for each in at.get("bidi_component"):
        if each.proto.component_name.endswith("chart"):
            _, figure = each.proto.bytes.split(b"\n", 1)
            return json.loads(figure)
    raise AssertionError("there is no chart on the page")


def put(at: AppTest, letter: str, objective: str) -> None:
    """Choose an axis. Two fragments are drawn anew; the whole page then says whether all is well:
    a run of fragments alone knows no pages here, to which there are links."""
    at.selectbox(key=f"view:{letter}").set_value(objective).run()
    at.run()


def test_an_objective_on_both_axes_of_the_address_is_its_own_chart(bench: Workbench) -> None:
    at = page("explore")
    at.query_params["x"] = at.query_params["y"] = "manners"
    at.run()
    assert not at.exception
    assert at.button_group(key="view:kind").value == "Curve"
    assert at.selectbox(key="view:objective").value == "manners"
    meta = chart(at)["layout"]["meta"]["curve"]
    assert (meta["objective"], meta["share"]) == ("manners", False)
    at.button_group(key="view:kind").set_value("Trade-off").run()
    assert not at.exception
    assert at.selectbox(key="view:x").value == "manners"
    assert at.selectbox(key="view:y").value == "facts"


def test_choosing_what_is_on_the_other_axis_swaps_them(bench: Workbench) -> None:
    at = page("explore").run()
    put(at, "x", "manners")
    assert not at.exception
    assert [at.selectbox(key=f"view:{each}").value for each in "xyz"] == ["manners", "facts", "–"]
    assert (at.query_params["x"], at.query_params["y"]) == ("manners", "facts")
    put(at, "z", "manners")  # z showed none: across gets what is left
    assert [at.selectbox(key=f"view:{each}").value for each in "xyz"] == [
        "loss", "facts", "manners",
    ]  # fmt: skip
    put(at, "y", "manners")
    assert [at.selectbox(key=f"view:{each}").value for each in "xyz"] == [
        "loss", "manners", "facts",
    ]  # fmt: skip
    assert not at.exception and not at.warning


@pytest.fixture
def swept(bench: Workbench) -> Workbench:
    grid = [(a, b) for a in (0.2, 0.5, 1.1) for b in (0.3, 0.6, 0.9)]
    measure(bench, [mix(bench, *each) for each in grid])
    return bench


def test_the_curve_follows_the_other_coefficients_and_any_method(swept: Workbench) -> None:
    at = page("explore").run()
    at.button_group(key="view:kind").set_value("Curve").run()
    at.selectbox(key="view:across").set_value("helpful").run()
    widget(at.slider, "terse").set_value(0.6).run()
    on = chart(at)["data"][-1]
    assert sorted(on["x"]) == [0.2, 0.5, 1.1]
    assert "predicted" in [each["name"] for each in chart(at)["data"] if "name" in each]
    for method, words in (("linear", "share of"), ("pcb", "coefficient of")):
        widget(at.selectbox, "Method").set_value(method).run()
        assert not at.exception
        assert chart(at)["layout"]["xaxis"]["title"]["text"].startswith(words)
    widget(at.selectbox, "Method").set_value("single").run()
    assert "A curve needs a method with a coefficient" in texts(at)


@pytest.fixture
def study(family: FamilyFiles, request: pytest.FixtureRequest) -> Path:
    """Of all objectives; of the first where a test asks for one; of one expert where it asks."""
    experts = ["helpful"] if "one_expert" in request.node.name else ["helpful", "terse"]
    few = OBJECTIVES[:1] if "one_objective" in request.node.name else OBJECTIVES
    return family.study(*experts, objectives=few, name=f"of{len(few)}{len(experts)}", target=True)


def opened(count: int) -> Workbench:
    found = state.connect()
    until(
        lambda: found.advance() or (len(found.measured()), found.worker().name) == (count, "ready")
    )
    return found


def every_view(at: AppTest, views: list[str]) -> None:
    assert list(at.button_group(key="view:kind").options) == views
    for view in views:
        at.button_group(key="view:kind").set_value(view).run()
        assert not at.exception, view


def test_a_study_with_one_objective_is_a_curve(home: Path) -> None:
    opened(4)
    at = page("explore").run()
    assert not at.exception
    assert at.button_group(key="view:kind").value == "Curve"
    assert chart(at)["layout"]["meta"]["curve"]["objective"] == "facts"
    every_view(at, ["Curve", "Surface", "Parallel"])


def test_a_study_with_one_expert_has_every_view(home: Path) -> None:
    bench = opened(3)
    at = page("explore").run()
    every_view(at, ["Trade-off", "Curve", "Surface", "Parallel"])
    assert bench.names.experts == ("helpful",)


def test_a_study_with_one_objective_and_one_expert_has_every_view(home: Path) -> None:
    opened(3)
    every_view(page("explore").run(), ["Curve", "Surface", "Parallel"])


def test_marks_are_coloured_by_what_is_chosen_and_the_address_says_it(swept: Workbench) -> None:
    at = page("explore").run()
    at.selectbox(key="view:colour").set_value("loss").run()
    assert not at.exception and at.query_params["colour"] == "loss"
    bar = chart(at)["data"][-1]["marker"]["colorbar"]
    assert bar["title"]["text"] == "loss ↓"
    at.selectbox(key="view:colour").set_value("c:terse").run()
    assert chart(at)["data"][-1]["marker"]["cmax"] == 0.9
    at.button_group(key="view:kind").set_value("Curve").run()
    assert not at.exception
    assert chart(at)["data"][-1]["marker"]["colorbar"]["title"]["text"] == "coefficient of terse"


def test_what_spans_factors_stands_on_a_logarithmic_axis_until_a_person_says_no(
    home: Path, perplexity: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARETOSCOPE_STUDY", str(perplexity))
    opened(4)
    at = page("explore").run()
    layout = chart(at)["layout"]
    assert layout["yaxis"]["type"] == "log" and "type" not in layout["xaxis"]
    at.toggle(key="view:log").set_value(False).run()
    assert not at.exception and "type" not in chart(at)["layout"]["yaxis"]
    assert at.query_params["log"] == "0"


@pytest.fixture
def perplexity(family: FamilyFiles) -> Path:
    more = {"name": "spread", "data": "data/texts.jsonl", "scorer": "perplexity"}
    return family.study("helpful", "terse", objectives=[OBJECTIVES[0], more], name="p", target=True)
