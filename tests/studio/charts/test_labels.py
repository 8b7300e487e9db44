"""Names on a chart: short enough, each at its mark, none over another."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest

import engine  # noqa: F401
from engine.recipe import Recipe
from studio.charts import labels
from studio.charts.logarithmic import logarithmic
from studio.charts.marks import shortened
from studio.charts.tradeoff import tradeoff
from tests.studio.charts.test_tradeoff import AXES, measured, single


def test_what_is_cut_is_in_the_middle() -> None:
    assert shortened("helpful", 7) == "helpful"
    assert shortened("a model of ours version 12", 13) == "a mode…ion 12"
    assert len(shortened("x" * 40, 24)) == 24


def boxes(figure: dict, limits: tuple) -> list[tuple[float, float, float, float]]:
    found = []
    for each in figure["layout"]["annotations"]:
        across = labels._pixels(np.array([each["x"]]), *limits[0], labels.WIDTH)[0] + each["ax"]
        down = labels.HEIGHT - labels._pixels(np.array([each["y"]]), *limits[1], labels.HEIGHT)[0]
        half = labels.LETTER * len(each["text"]) / 2
        down += each["ay"]
        found.append((across - half, down - labels.LINE / 2, across + half, down + labels.LINE / 2))
    return found


@pytest.mark.parametrize("spread", [0.0, 0.02, 1.0])
def test_eight_long_names_do_not_overlap_however_near_their_marks_are(spread: float) -> None:
    names = [f"a model of ours that has a long name, number {n}" for n in range(8)]
    values = [[0.5 + spread * n / 8, 2.0 + spread * ((3 * n) % 8) / 8, 1.0] for n in range(8)]
    mixed = [[0.0, 1.0, 1.0], [1.5, 3.5, 1.0]]
    recipes = [single(each) for each in names] + [Recipe("pcb", {"a": c}) for c in (0.2, 0.4)]
    points = measured(values + mixed, recipes)
    plain = tradeoff(points, AXES[:2], AXES[:2])
    figure = labels.named(plain)
    json.dumps(figure, allow_nan=False)
    notes = figure["layout"]["annotations"]
    assert len(notes) == 8 and all(len(each["text"]) <= labels.MOST + 8 for each in notes)
    assert notes[0]["hovertext"].startswith(names[0])
    limits = (0.0, 1.5), (1.0, 3.5)
    for one, other in itertools.combinations(boxes(figure, limits), 2):
        assert labels._overlap(one, other) == 0.0
    assert all("text" not in each.get("mode", "") for each in figure["data"])


def test_on_a_logarithmic_axis_names_are_placed_by_where_their_marks_stand_there() -> None:
    """Losses of 700 … 1000 beside one of 1 are far apart on a plain axis alone."""
    losses = [1.0, *(700.0 + 50 * n for n in range(7))]
    recipes = [single(f"model {n}") for n in range(len(losses))]
    points = measured([[0.5, loss, 1.0] for loss in losses], recipes)
    plain = tradeoff(points, AXES[:2], AXES[:2])
    figure = labels.named(logarithmic(plain, AXES[:2], {"loss"}))
    json.dumps(figure, allow_nan=False)
    notes = figure["layout"]["annotations"]
    assert [each["y"] for each in notes] == [math.log10(loss) for loss in losses]
    for one, other in itertools.combinations(boxes(figure, ((0.5, 0.5), (0.0, 3.0))), 2):
        assert labels._overlap(one, other) == 0.0


def test_a_figure_without_names_and_a_scene_stay_as_they_are() -> None:
    points = measured([[0.2, 2.0, 1.0], [0.4, 1.0, 1.0]])
    flat = tradeoff(points, AXES[:2], AXES[:2])
    assert labels.named(flat) is flat
    models = measured([[0.2, 2.0, 1.0], [0.4, 1.0, 1.0]], [single("base"), single("a")])
    scene = tradeoff(models, AXES, AXES)
    assert labels.named(scene) is scene


def test_over_a_dense_cloud_the_names_keep_their_ground() -> None:
    recipes = [single("a<b"), *(Recipe("pcb", {"a": 0.001 * k}) for k in range(1999))]
    many = measured([[k / 2000, k / 2000, 1.0] for k in range(2000)], recipes)
    [name] = labels.named(tradeoff(many, AXES[:2], AXES[:2]))["layout"]["annotations"]
    assert name["text"].startswith("a&lt;b") and name["bgcolor"] == "--st-background-color"
