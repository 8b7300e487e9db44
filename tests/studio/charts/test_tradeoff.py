"""Figures: what is drawn where, as plain data."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

import engine  # noqa: F401
from engine.recipe import Recipe
from engine.scoring.registry import SHARE
from studio.charts import marks
from studio.charts import tradeoff as figures
from studio.points.view import Axis, Measured

AXES = (Axis("facts", True), Axis("loss", False), Axis("cost", False))


def measured(mean: list[list[float]], recipes: list[Recipe] | None = None) -> Measured:
    values = np.array(mean, dtype=float)
    if recipes is None:
        recipes = [Recipe("task_arithmetic", {"a": 0.01 * k}) for k in range(len(values))]
    ids = tuple(f"{row:012x}" for row in range(len(values)))
    stderr = np.full_like(values, 0.02)
    n = np.full(values.shape, 30)
    return Measured(("facts", "loss", "cost"), ids, tuple(recipes), values, stderr, n)


def single(model: str) -> Recipe:
    return Recipe("single", {}, {"model": model})


POINTS = measured(
    [[0.2, 2.0, 1.0], [0.6, 2.5, 1.0], [0.5, 2.6, 1.0], [0.4, np.nan, 1.0]],
    [single("base"), Recipe("pcb", {"a": 1.0}), Recipe("pcb", {"a": 0.5}), single("a<b")],
)


def traces(figure: dict) -> dict[str, dict]:
    return {trace.get("name", "stair"): trace for trace in figure["data"]}


def test_every_shown_point_is_in_one_trace_with_its_id_and_its_errors() -> None:
    found = traces(figures.tradeoff(POINTS, AXES[:2], AXES[:2]))
    assert [row[0] for row in found["front"]["customdata"]] == [POINTS.ids[1]]
    assert [row[0] for row in found["measured"]["customdata"]] == [POINTS.ids[2]]
    assert found["unmerged models"]["text"] == ["base (front)"]
    for name in ("front", "measured", "unmerged models"):
        assert found[name]["error_x"]["array"] == [0.02]
        assert found[name]["error_y"]["array"] == [0.02]


def test_a_point_without_one_of_the_scores_is_left_out() -> None:
    figure = figures.tradeoff(POINTS, AXES[:2], AXES[:2])
    drawn = sum(len(t["x"]) for t in figure["data"] if t.get("customdata"))
    assert drawn == 3
    json.dumps(figure, allow_nan=False)


def test_the_front_is_a_stair_that_promises_nothing_between_points() -> None:
    values = np.array([[0.6, 2.5], [0.2, 2.0], [0.2, 2.0]])
    x, y, shape = figures.staircase(values, [True, False])
    assert (x, y, shape) == ([0.2, 0.2, 0.6], [2.0, 2.0, 2.5], "vh")
    assert figures.staircase(values, [False, True])[2] == "hv"


def test_three_axes_make_a_scene() -> None:
    figure = figures.tradeoff(POINTS, AXES, AXES)
    assert {trace["type"] for trace in figure["data"]} == {"scatter3d"}
    assert figure["layout"]["meta"] == {"axes": ["facts", "loss", "cost"]}
    json.dumps(figure, allow_nan=False)


def test_a_computed_best_is_marked_where_its_objective_and_scores_are_on_the_axes() -> None:
    optima = {1: "loss", 2: "cost", 3: "loss"}  # the last has no loss, and cannot be drawn
    for axes, kind in ((AXES[:2], "scatter"), (AXES, "scatter3d")):
        figure = figures.tradeoff(POINTS, axes, axes, optima=optima)
        mark = traces(figure)["computed best"]
        wanted = [1, 2] if len(axes) == 3 else [1]
        assert mark["type"] == kind and mark["text"] == [f"best {optima[row]}" for row in wanted]
        assert [each[0] for each in mark["customdata"]] == [POINTS.ids[row] for row in wanted]
        assert figure["data"][-1]["name"] == "unmerged models"
    assert "computed best" not in traces(
        figures.tradeoff(POINTS, AXES[:2], AXES, optima={2: "cost"})
    )
    assert "computed best" not in traces(figures.tradeoff(POINTS, AXES[:2], AXES[:2]))


def test_many_points_are_drawn_with_webgl_and_without_a_thousand_bars() -> None:
    many = measured([[k / 2000, -k / 2000, 1.0] for k in range(2000)])
    found = traces(figures.tradeoff(many, AXES[:2], AXES[:2]))
    assert found["measured"]["type"] == "scattergl"
    assert "error_x" not in found["measured"]
    assert found["measured"]["customdata"][0][1] == " ± 0.020"


def test_zoom_outlives_new_points_and_not_new_axes() -> None:
    def revision(axes: tuple[Axis, ...], points: Measured) -> str:
        return figures.tradeoff(points, axes, axes)["layout"]["uirevision"]

    more = measured([[0.1 * k, 2.0 + k, 1.0] for k in range(9)])
    assert revision(AXES[:2], POINTS) == revision(AXES[:2], more)
    assert revision(AXES[:2], POINTS) != revision((AXES[0], AXES[2]), POINTS)


def test_a_share_shows_all_of_itself_until_there_is_something_to_fit() -> None:
    axes = (Axis("facts", True, SHARE), AXES[1])

    def layout(points: Measured) -> dict:
        return figures.tradeoff(points, axes, axes)["layout"]

    few = layout(measured([[0.2, 2.0, 1.0]]))
    assert few["xaxis"]["range"] == [-0.03, 1.03]
    assert few["yaxis"]["autorange"] is True
    assert few["uirevision"] != layout(POINTS)["uirevision"]
    assert "range" not in layout(POINTS)["xaxis"] and layout(POINTS)["xaxis"]["autorange"] is True


@pytest.mark.parametrize("text", ["<img src=x>", "a<b", "<b>&"])
def test_names_reach_plotly_escaped(text: str) -> None:
    points = measured([[0.2, 2.0, 1.0]], [single(text)])
    axes = (Axis(text, True), AXES[1])
    points = Measured((text, "loss"), points.ids, points.recipes, *(
        values[:, :2] for values in (points.mean, points.stderr, points.n)))  # fmt: skip
    whole = json.dumps(figures.tradeoff(points, axes, axes))
    for trace in json.loads(whole)["data"]:
        for shown in (*trace.get("text", ()), *trace.get("hovertext", ())):
            assert "<" not in shown
        assert text not in trace.get("hovertemplate", "").replace("<b>%{hovertext}</b>", "")


def test_colours_are_left_to_the_theme() -> None:
    figure = figures.tradeoff(POINTS, AXES[:2], AXES[:2])
    for trace in figure["data"]:
        colour = trace.get("marker", trace.get("line", {})).get("color")
        assert colour.startswith("--st-")


def luminance(colour: str, opacity: float = 1.0, background: str = "#000000") -> float:
    """Relative luminance of a colour laid over a background (WCAG 2.2)."""
    found = 0.0
    for share, place in zip((0.2126, 0.7152, 0.0722), (1, 3, 5), strict=True):
        above, below = (int(each[place : place + 2], 16) / 255 for each in (colour, background))
        value = opacity * above + (1 - opacity) * below
        found += share * (value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4)
    return found


@pytest.mark.parametrize(("theme", "background"), [("light", "#ffffff"), ("dark", "#0e1117")])
def test_every_mark_stands_out_from_the_background_of_both_themes(
    theme: str, background: str
) -> None:
    file = Path(__file__).parents[3] / ".streamlit" / "config.toml"
    colours = tomllib.loads(file.read_text())["theme"][theme]
    for name, opacity in (("primary", 1.0), ("orange", 1.0), ("gray", marks.OPACITY)):
        colour = luminance(colours[f"{name}Color"], opacity, background)
        dark, light = sorted((colour, luminance(background)))
        assert (light + 0.05) / (dark + 0.05) >= 3.0, name


def test_each_method_has_its_shape_and_the_legend_says_so_only_where_there_are_several() -> None:
    both = measured(
        [[0.1, 3.0, 1.0], [0.2, 3.0, 1.0], [0.9, 1.0, 1.0]],
        [Recipe("pcb", {"a": 1.0}), Recipe("linear", {"a": 1.0}), Recipe("pcb", {"a": 0.5})],
    )
    found = traces(figures.tradeoff(both, AXES[:2], AXES[:2]))
    shapes = {name: found[name]["marker"].get("symbol") for name in found if name != "stair"}
    assert shapes["measured, pcb"] == shapes["front"] == "triangle-up"
    assert shapes["measured, linear"] == "triangle-down"
    assert marks.mark_of("a method of a newer version") == "circle"


def test_hiding_dominated_points_leaves_the_front_and_the_models() -> None:
    found = traces(figures.tradeoff(POINTS, AXES[:2], AXES[:2], hide_dominated=True))
    assert set(found) == {"front", "unmerged models", "stair"}


def test_a_front_over_more_than_the_axes_has_no_stair_and_says_what_brings_a_mark_there() -> None:
    points = measured(
        [[0.9, 1.0, 5.0], [0.8, 1.1, 2.0], [0.7, 1.2, 6.0], [0.2, 3.0, 1.0]],
        [*(Recipe("pcb", {"a": 0.1 * k}) for k in range(3)), single("base")],
    )
    found = traces(figures.tradeoff(points, AXES[:2], AXES))
    assert "stair" not in found
    assert [row[0] for row in found["front"]["customdata"]] == [points.ids[0]]
    beside = found["on the front because of cost"]
    assert [row[0] for row in beside["customdata"]] == [points.ids[1]]
    assert "on the front because of cost, not on these axes" in beside["hovertemplate"]
    assert beside["marker"]["color"] == "--st-background-color"  # hollow, and lighter than
    assert beside["marker"]["size"] < found["front"]["marker"]["size"]  # what is best on the axes
    assert beside["error_x"]["color"] == found["measured"]["error_x"]["color"]
    [model] = found["unmerged models"]["hovertemplate"]
    assert "on the front because of cost" in model
    assert [row[0] for row in found["measured"]["customdata"]] == [points.ids[2]]
    deep = traces(figures.tradeoff(points, AXES, AXES[:2]))
    assert "stair" not in deep
    assert [row[0] for row in deep["front"]["customdata"]] == [points.ids[0]]
    flat = traces(figures.tradeoff(points, AXES[:2], (AXES[1], AXES[0])))
    assert "stair" in flat and "on the front because of cost" not in flat


@pytest.mark.parametrize("deep", [False, True])
def test_a_knee_is_a_square_around_its_point(deep: bool) -> None:
    axes = AXES if deep else AXES[:2]
    none = np.zeros(4, dtype=bool)
    assert "knee" not in traces(figures.tradeoff(POINTS, axes, axes, knees=none))
    found = traces(
        figures.tradeoff(POINTS, axes, axes, knees=np.array([False, True, False, False]))
    )
    assert (found["knee"]["x"], found["knee"]["y"]) == ([0.6], [2.5])
    assert found["knee"]["marker"]["symbol"] == "square-open"
    assert found["knee"]["hoverinfo"] == "skip"


def test_a_bound_is_a_line_on_its_axis_with_the_excluded_side_shaded() -> None:
    bounds = {"facts": (0.15, None), "loss": (None, 2.6), "cost": (None, 9.0)}
    layout = figures.tradeoff(POINTS, AXES[:2], AXES[:2], bounds=bounds)["layout"]
    shade, line, other_shade, other_line = layout["shapes"]
    assert (line["xref"], line["x0"], line["x1"], line["line"]["dash"]) == ("x", 0.15, 0.15, "dash")
    assert line["label"]["text"] == "at least 0.15"
    assert shade["x0"] == 0.15 and shade["x1"] < -1
    assert (other_line["yref"], other_line["y0"], other_shade["y1"] > 5) == ("y", 2.6, True)
    # facts are 0.2 … 0.6, so the axis reaches 8 % of 0.4 below the bound and above the points
    assert layout["xaxis"]["autorangeoptions"] == {"clipmin": 0.118, "clipmax": 0.632}


def test_a_bound_far_from_every_point_does_not_squeeze_them() -> None:
    far = {"facts": (-50.0, None)}
    layout = figures.tradeoff(POINTS, AXES[:2], AXES[:2], bounds=far)["layout"]
    assert layout["xaxis"]["autorangeoptions"]["clipmin"] > 0


def test_bounds_without_a_point_left_are_still_drawn() -> None:
    none = POINTS.only(np.zeros(4, dtype=bool))
    bounds = {"facts": (0.9, 0.95), "loss": (0.0, None)}
    for axes in (AXES[:2], AXES):
        figure = figures.tradeoff(none, axes, axes, bounds=bounds)
        json.dumps(figure, allow_nan=False)
    flat = figures.tradeoff(none, AXES[:2], AXES[:2], bounds=bounds)["layout"]
    assert len(flat["shapes"]) == 6


def test_a_bound_in_depth_is_a_plane_across_the_points() -> None:
    bounds = {"loss": (None, 2.7)}
    figure = figures.tradeoff(POINTS, AXES, AXES, bounds=bounds)
    plane, edge = figure["data"][-2:]
    assert plane["type"] == "mesh3d" and plane["y"] == [2.7] * 4
    assert sorted(set(plane["x"])) == [0.2, 0.6] and edge["line"]["dash"] == "dash"


def test_where_no_example_failed_the_interval_is_drawn_and_said() -> None:
    sure = Measured(
        ("facts", "loss"),
        ("p", "q"),
        (Recipe("pcb", {"a": 1.0}), Recipe("pcb", {"a": 0.5})),
        np.array([[1.0, 1.0], [0.5, 0.5]]),
        np.array([[0.0, 0.0], [0.02, 0.1]]),
        np.full((2, 2), 300),
        low=np.array([[0.987, np.nan], [0.46, np.nan]]),
        high=np.array([[1.0, np.nan], [0.54, np.nan]]),
    )
    trace = traces(figures.tradeoff(sure, AXES[:2], AXES[:2]))["front"]
    assert trace["error_x"]["array"] == [0.0, 0.02]
    assert trace["error_x"]["arrayminus"] == [0.013, 0.02]
    assert trace["error_y"]["array"] == [0.0, 0.1] and "arrayminus" not in trace["error_y"]
    assert trace["customdata"] == [
        ("p", " [0.987, 1.000]", " ± 0.000"),
        ("q", " ± 0.020 [0.460, 0.540]", " ± 0.100"),
    ]


def test_too_many_points_are_thinned_and_the_legend_says_so() -> None:
    random = np.random.default_rng(0)
    many = measured(random.uniform(0, 1, (20_000, 3)).tolist())
    front = many.front_of(AXES[:2])
    keep = many.ids[7::4000]
    figure = figures.tradeoff(many, AXES[:2], AXES[:2], keep=keep)
    cloud, *_ = figure["data"]
    count = len(cloud["x"])
    assert 8000 <= count <= 8000 + len(keep)
    assert cloud["name"] == f"measured ({count:,} of {20_000 - front.sum():,} drawn)"
    assert set(keep) <= {row[0] for row in cloud["customdata"]}
    assert len(traces(figure)["front"]["x"]) == front.sum()
    assert len(json.dumps(figure)) < 1_500_000


def test_over_a_dense_cloud_nothing_is_hidden_and_names_have_a_ground_of_their_own() -> None:
    recipes = [single("a<b"), *(Recipe("pcb", {"a": 0.001 * k}) for k in range(1999))]
    many = measured([[k / 2000, k / 2000, 1.0] for k in range(2000)], recipes)
    figure = figures.tradeoff(many, AXES[:2], AXES[:2])
    # the canvas of WebGL lies over SVG: all or nothing
    assert {trace["type"] for trace in figure["data"]} == {"scattergl"}
    [name] = figure["layout"]["annotations"]
    assert name["text"].startswith("a&lt;b") and name["bgcolor"] == "--st-background-color"
    assert "text" not in traces(figure)["unmerged models"]
