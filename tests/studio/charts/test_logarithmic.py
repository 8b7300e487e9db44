"""Logarithmic axes: which are, and what stands on them."""

from __future__ import annotations

import json
import math

import engine  # noqa: F401
from studio.charts.labels import named
from studio.charts.logarithmic import logarithmic
from studio.charts.tradeoff import tradeoff
from tests.studio.charts.test_tradeoff import AXES, POINTS


def test_the_axis_asked_for_is_logarithmic_with_bounds_and_names_in_their_places() -> None:
    plain = tradeoff(POINTS, AXES[:2], AXES[:2], bounds={"loss": (None, 2.6)})
    figure = named(logarithmic(plain, AXES[:2], {"loss", "cost"}))
    plain = named(plain)
    json.dumps(figure, allow_nan=False)
    before, layout = plain["layout"], figure["layout"]
    assert layout["yaxis"]["type"] == "log" and "type" not in layout["xaxis"]
    assert layout["uirevision"] != before["uirevision"]
    shade, line = layout["shapes"]
    assert (line["y0"], shade["y0"], shade["y1"]) == (2.6, 2.6, 2.6e6)
    assert "autorangeoptions" not in layout["yaxis"]
    for each, old in zip(layout["annotations"], before["annotations"], strict=True):
        assert (each["x"], each["y"]) == (old["x"], math.log10(old["y"]))


def test_an_axis_with_a_value_of_zero_stays_as_it_is_and_a_scene_has_its_own() -> None:
    plain = tradeoff(POINTS, AXES[:2], AXES[:2])
    zero = {**plain, "data": [*plain["data"], {"x": [0.0], "y": [0.0]}]}
    assert logarithmic(zero, AXES[:2], {"loss"})["layout"] == zero["layout"]
    scene = tradeoff(POINTS, AXES, AXES)
    assert logarithmic(scene, AXES, {"cost"})["layout"]["scene"]["zaxis"]["type"] == "log"
