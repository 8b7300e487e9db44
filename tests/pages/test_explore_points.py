"""The table of Explore: filters, the file, and what a person says of the point in hand."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from studio.points.remarks import Remark
from studio.points.view import axes_of
from studio.workbench import Workbench
from tests.app_fixtures import page, texts, until, whole
from tests.pages.test_explore_views import measure, mix


@pytest.fixture
def best(bench: Workbench) -> str:
    """The id of the one mixture measured: on the front over facts and manners."""
    measure(bench, [mix(bench, 1.5, 1.5)])
    until(lambda: bench.advance() or bench.measured().complete(len(bench.measured()) - 1))
    return bench.measured().ids[-1]


def at_point(point: str) -> AppTest:
    at = page("explore")
    at.query_params["point"] = point
    return at.run()


def drawn(**asked: str) -> bytes:
    """The figure that a new session is sent."""
    at = page("explore")
    for name, value in asked.items():
        at.query_params[name] = value
    at.run()
    [chart] = [e for e in at.get("bidi_component") if e.proto.component_name.endswith(".chart")]
    return bytes(chart.proto.bytes)


def test_a_point_is_named_noted_starred_and_seen_so_everywhere(bench: Workbench, best: str) -> None:
    at = at_point(best)
    assert f"Selected: task_arithmetic(helpful 1.5, terse 1.5) · point {best}" in texts(at)
    at.text_input(key=f"remark_name:{best}").set_value("  my <b>best</b>\tone ").run()
    at.run()
    at.text_area(key=f"remark_note:{best}").set_value("look again").run()
    at.run()
    at.button(key="star").click().run()
    at.run()
    assert not at.exception
    assert dict(bench.remarks.all()) == {
        best: Remark("my <b>best</b> one", "look again", star=True)
    }
    assert "Selected: my <b>best</b> one · task_arithmetic" in texts(at)
    row = at.dataframe[0].value.set_index("id").loc[best]
    assert (row["name"], row["star"], row["note"]) == ("my <b>best</b> one", True, "look again")
    assert b"my &lt;b&gt;best&lt;/b&gt; one" in drawn()
    assert "method: task_arithmetic" in at.code[0].value
    offered = at.selectbox(key="tray_add:0").options
    assert [each for each in offered if each.startswith("my <b>best</b> one · ")]


def test_a_hidden_point_is_neither_drawn_nor_listed_nor_on_the_front(
    bench: Workbench, best: str
) -> None:
    at = at_point(best)
    axes = axes_of(bench.objectives)[:2]
    assert bench.measured().front_of(axes)[-1]
    at.toggle(key=f"remark_hidden:{best}").set_value(True).run()
    at.run()
    assert not at.exception
    assert best not in at.dataframe[0].value["id"].tolist()
    assert "1 point is hidden." in texts(at) and f"point {best} · hidden" in texts(at)
    assert "of 4 points on the front" in texts(at)
    assert best.encode() not in drawn() and best.encode() in drawn(show_hidden="1")
    at.toggle(key="view:show_hidden").set_value(True).run()
    at.run()
    assert best in at.dataframe[0].value["id"].tolist()
    assert at.query_params["show_hidden"] == "1"


def test_models_cannot_be_hidden(bench: Workbench) -> None:
    at = at_point(bench.measured().ids[0])
    assert not [each for each in at.toggle if each.key.startswith("remark_hidden")]


def test_mine_is_what_was_named_starred_or_evaluated_by_hand(bench: Workbench, best: str) -> None:
    at = page("explore").run()
    at.button(key="evaluate").click().run()
    until(lambda: bench.advance() or whole(bench, 6))
    at.run()
    at.toggle(key="sought_mine").set_value(True).run()
    at.run()
    assert not at.exception
    assert at.dataframe[0].value["id"].tolist() == [bench.measured().ids[-1]]
    assert "1 point matches the filter." in texts(at)
    at.toggle(key="sought_mine").set_value(False).run()
    at.text_input(key="sought_text").set_value(best[:8]).run()
    at.run()
    assert at.dataframe[0].value["id"].tolist() == [best]


def test_only_what_is_new_makes_points_anew(bench: Workbench, best: str) -> None:
    before = bench.measured()
    bench.remarks.say({best: Remark(star=True)})
    assert bench.measured() is before
    bench.remarks.say({best: Remark(name="one")})
    assert bench.measured() is not before and bench.measured().called == {best: "one"}
