"""External points on the trade-off and in the table: shown, and no more than shown."""

from __future__ import annotations

import numpy as np

from engine.recipe import FrozenDict
from studio.charts import colouring
from studio.charts import tradeoff as figures
from studio.charts.drawn import drawn
from studio.charts.external import with_external
from studio.charts.labels import named
from studio.external.points import External, Score
from studio.external.table import with_external as with_rows
from studio.points import table
from studio.points.view import Axis
from tests.studio.charts.test_tradeoff import AXES, POINTS, traces


def score(mean: float, stderr: float | None = None, n: int | None = None) -> Score:
    return Score(mean, stderr, n, "acc", "/f.csv", "0" * 64, "CSV", "exact_match", "maximize")


RIVAL = External("e" * 12, "a <b> rival", FrozenDict(facts=score(0.7, 0.1, 21), loss=score(2.4)))
NEVER = External("f" * 12, "never", FrozenDict(facts=score(1.0, 0.0, 21)))


def test_they_have_a_mark_of_their_own_and_nothing_to_click() -> None:
    plain = figures.tradeoff(POINTS, AXES[:2], AXES[:2])
    figure = with_external(plain, (RIVAL, NEVER), AXES[:2])
    found = traces(figure)["external"]
    assert (found["x"], found["y"]) == ([0.7], [2.4])  # `never` has no score on one of the axes
    assert found["marker"]["symbol"] == "x" and "customdata" not in found
    assert found["error_x"]["array"] == [0.1] and "no error given" in found["hovertext"][0]
    assert "a &lt;b&gt; rival" in found["hovertext"][0] and "<b> rival" not in found["hovertext"][0]
    assert figure["data"][:-1] == plain["data"] and figure["layout"] == plain["layout"]
    assert drawn(figure, POINTS).tolist() == drawn(plain, POINTS).tolist()
    by = colouring.by_objective(POINTS, AXES[0])
    assert (
        traces(colouring.coloured(named(figure), POINTS, by))["external"]["marker"]
        == (found["marker"])
    )
    assert with_external(plain, (RIVAL,), AXES[:2], {"facts": (0.8, None)}) == plain


def test_a_share_without_a_failure_has_its_interval_as_its_bar() -> None:
    axes = (Axis("facts", True), Axis("facts", True))
    figure = with_external({"data": [], "layout": {}}, (NEVER,), axes)
    [trace] = figure["data"]
    assert trace["error_x"]["array"] == [0.0] and 0.1 < trace["error_x"]["arrayminus"][0] < 0.2


def test_they_are_rows_below_the_points_with_their_word() -> None:
    front = POINTS.front_of(AXES[:2])
    rows = np.arange(4)
    plain = table.columns(POINTS, AXES[:2], front, rows, {})
    found = with_rows(plain, (RIVAL, NEVER), AXES[:2])
    assert found.column_names == plain.column_names and found.num_rows == 6
    for name in plain.column_names:
        assert found.column(name).to_pylist()[:4] == plain.column(name).to_pylist()
    first, last = found.to_pylist()[4:]
    assert (first["id"], first["name"], first["measured"]) == (RIVAL.id, RIVAL.name, "external")
    assert (first["facts"], first["facts stderr"], first["facts n"], first["loss n"]) == (
        0.7, 0.1, 21, None
    )  # fmt: skip
    assert first["front"] is False and last["loss"] is None and last["facts low"] < 1.0
