"""What a page says of where a point was measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.recipe import Recipe
from studio.charts.marks import points
from studio.charts.surface import _points
from studio.points.origin import HERE, PART, SHIPPED, origin_words, origins
from studio.points.table import MEASURED, columns
from studio.points.view import Axis, Measured
from studio.points.words import readout

AXES = (Axis("facts", True), Axis("loss", False))
RECIPES = tuple(Recipe("task_arithmetic", {"helpful": each / 4}) for each in range(4))
MEAN = np.array([[0.5, 1.0], [0.6, np.nan], [0.7, 1.2], [0.8, 1.3]])
MEASURED_POINTS = Measured(
    ("facts", "loss"), tuple("abcd"), RECIPES, MEAN, MEAN * 0.01, np.full(MEAN.shape, 50),
    shipped=np.array([[True, True], [True, False], [True, False], [False, False]]),
)  # fmt: skip
ALL = np.arange(4)


def test_a_point_is_shipped_where_every_score_it_has_is() -> None:
    assert origins(MEASURED_POINTS, ALL).tolist() == [SHIPPED, SHIPPED, PART, HERE]
    kept = MEASURED_POINTS.only(np.array([False, False, True, True]))
    assert origins(kept, np.array([1, 0])).tolist() == [HERE, PART]
    assert origins(replace(MEASURED_POINTS, shipped=np.empty((0, 0))), ALL).tolist() == [HERE] * 4


@pytest.mark.parametrize(
    ("row", "numerics", "words"),
    [
        (0, "cpu/float32/1", "Shipped with the demo, measured on a CPU in float32."),
        (2, "cpu/float32/1", "Measured here in part, on a CPU in float32; the other scores were"
                             " shipped with the demo."),
        (3, "cuda/bfloat16/1", "Measured here, on a GPU in bfloat16."),
        (3, "xpu/float32/1", "Measured here, on xpu in float32."),
    ],
)  # fmt: skip
def test_a_points_details_say_where(row: int, numerics: str, words: str) -> None:
    assert origin_words(MEASURED_POINTS, row, numerics) == words
    told = readout(MEASURED_POINTS, AXES, RECIPES[row], numerics=numerics)
    assert told["note"] == f"Point {MEASURED_POINTS.ids[row]}. {words}"


def test_the_table_says_where() -> None:
    found = columns(MEASURED_POINTS, AXES, np.zeros(4, dtype=bool), np.array([3, 0, 2]), {})
    assert found.column(MEASURED).to_pylist() == [
        "measured here", "shipped", "measured here in part",
    ]  # fmt: skip


ID = "<br>point %{customdata[0]}<extra></extra>"


def test_the_hover_text_says_where() -> None:
    def of(rows: list[int], axes: tuple[Axis, ...] = AXES) -> dict[str, object]:
        return points(
            MEASURED_POINTS, np.array(rows), axes,
            name="", colour="", kind="scatter", with_bars=False,
        )  # fmt: skip

    mixed = of([0, 3])
    assert mixed["hovertemplate"].endswith(f"<br>%{{customdata[3]}}{ID}")
    assert [row[3] for row in mixed["customdata"]] == ["shipped", "measured here"]
    alone = of([3])
    assert alone["hovertemplate"].endswith(f"<br>measured here{ID}")
    assert alone["customdata"] == [("d", " ± 0.008", " ± 0.013")]
    flat = _points(MEASURED_POINTS, np.array([0, 3]), np.zeros((2, 2)), AXES[0], False, False)
    assert f"facts ↑ %{{customdata[1]}}<br>%{{customdata[2]}}{ID}" in flat["hovertemplate"]
    assert flat["customdata"] == [("a", "0.500 ± 0.005", "shipped"),
                                  ("d", "0.800 ± 0.008", "measured here")]  # fmt: skip
