"""Explore measures a logit method's whole surface at once, and marks its computed best."""

from __future__ import annotations

import pytest

from studio.points import filling
from studio.points.remarks import Remark
from studio.workbench import Workbench
from tests.app_fixtures import page, texts, until, widget
from tests.pages.test_explore_curve import chart


def offered(at: object) -> list[str]:
    return [each.label for each in at.button if each.key in ("fill", "best:loss")]  # type: ignore[attr-defined]


def test_a_surface_is_measured_at_a_press_and_its_best_loaded(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = page("explore")
    at.query_params["x"] = at.query_params["y"] = "loss"
    at.run()
    assert offered(at) == []  # weight space
    widget(at.selectbox, "Method").set_value("proxy_tuning").run()
    widget(at.slider, "helpful").set_value(0.7).run()
    assert offered(at) == [f"Measure the surface: about {256 + 2 * 41} points"]
    before = len(bench.measured())
    at.button(key="fill").click().run()
    task = next(each for each in bench.tasks().values() if "the surface of" in each.what)
    until(lambda: task.status.over)
    assert task.status.state == "done"
    until(lambda: len(bench.measured()) == before + 2)
    at.run()
    assert not at.exception
    assert offered(at)[1:] == ["Load the best for loss"]
    best = task.handle.result(0)["best"]["loss"]
    assert bench.remarks.of(best) == Remark(best="loss")
    at.selectbox(key="view:across").set_value("helpful").run()
    mark = next(each for each in chart(at)["data"] if each["name"] == "computed best")
    assert mark["x"] == [0.3]
    recipe = bench.measured().recipes[bench.measured().row_of[best]]
    bench.evaluate([recipe], "Scoring", "here").handle.result(20)
    until(lambda: bench.measured().complete(bench.measured().row_of[best]))
    at.button_group(key="view:kind").set_value("Trade-off").run()
    figure = chart(at)
    mark = next(each for each in figure["data"] if each.get("name") == "computed best")
    assert [each[0] for each in mark["customdata"]] == [best]
    assert "best loss" in [each["text"] for each in figure["layout"]["annotations"]]
    at.run()
    at.button(key="best:loss").click().run()
    assert widget(at.slider, "helpful").value == 0.3
    monkeypatch.setattr(filling, "POINTS", 2)
    assert filling.is_filled(bench, bench.measured(), recipe)
    at.run()
    assert offered(at) == ["Load the best for loss"]
    assert "measured on loss alone: its points are not on charts of facts, manners" in texts(at)
    assert "Cancelled" not in texts(at)
