"""The table of points: numbers that sort, what it is narrowed to, and a file that is read back."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from cache.arrow import pa
from engine.__main__ import main
from engine.recipe import Names, Recipe, resolve
from studio.csv_text import of_table
from studio.points.arrivals import coefficients
from studio.points.remarks import Remark
from studio.points.table import Sought, columns, in_order, matching, methods_of
from studio.points.view import Axis, Measured, measure
from tests.studio.points.test_view import AXES, NAMES, Point, mix, scored, single


@pytest.fixture
def measured() -> Measured:
    """Scores that texts would sort as 10.1, 11.5, 2.3."""
    pcb = resolve(Recipe("pcb", {"helpful": 1.0, "terse": 0.25}, {"ratio": 0.2}), NAMES)
    found = [
        scored(single("base"), 0.1 + 0.2, 11.5, "b"),
        scored(mix(0.5, 1.0), 0.9, 2.3, "low"),
        scored(pcb, 0.6, 10.1, "mid"),
        scored(mix(0.0, 1.0), 0.2, None, "half"),
    ]
    return measure(found, ("facts", "loss"))


def listed(
    measured: Measured, sought: Sought | None = None, remarks: Mapping[str, Remark] | None = None
) -> pa.Table:
    front, said = measured.front_of(AXES), remarks or {}
    rows = in_order(front, matching(measured, sought or Sought(), said))
    return columns(measured, AXES, front, rows, said)


def test_scores_are_numbers_that_sort_as_numbers(measured: Measured) -> None:
    table = listed(measured)
    assert table.column("id").to_pylist() == ["low", "half", "mid", "b"]
    assert table.column("front").to_pylist() == [True, False, False, False]
    assert table.column("loss").type == pa.float64()
    assert sorted(filter(None, table.column("loss").to_pylist())) == [2.3, 10.1, 11.5]
    assert table.column("facts stderr").to_pylist() == [0.01] * 4
    assert table.column("loss n").type == pa.int64()
    assert table.column("loss n").to_pylist() == [40] * 4
    assert table.column("loss").to_pylist()[1] is None


def test_an_unmerged_model_is_named_beside_its_method_where_rows_are_read(
    measured: Measured,
) -> None:
    rows, every = np.arange(3), np.ones(4, dtype=bool)
    for modelled, first in ((True, "single: base"), (False, "single")):
        table = columns(measured, AXES, every, rows, {}, modelled=modelled)
        assert table.column("method").to_pylist() == [first, "task_arithmetic", "pcb"]


def test_a_coefficient_a_column_as_the_recipe_says_it(measured: Measured) -> None:
    table = listed(measured)
    assert table.column("coefficient helpful").to_pylist() == [0.5, 0.0, 1.0, None]
    assert table.column("coefficient terse").to_pylist() == [1.0, 1.0, 0.25, None]
    assert table.column("method").to_pylist()[2] == "pcb"
    assert table.column("parameters").to_pylist() == ["", "", "ratio 0.2", "base"]


def test_shares_stay_the_numbers_of_the_recipe() -> None:
    """A method that knows only proportions is compared by them; the table says what was written."""
    recipe = resolve(Recipe("logit_fusion", {"helpful": 3.0, "terse": 1.0}), NAMES)
    names, values = coefficients(measure([scored(recipe, 0.5, 1.0, "p")], ("facts", "loss")))
    assert dict(zip(names, values[0].tolist(), strict=True)) == {
        "base": 0.0, "helpful": 3.0, "terse": 1.0,
    }  # fmt: skip


def test_narrowed_to_methods(measured: Measured) -> None:
    assert methods_of(measured) == ["single", "task_arithmetic", "pcb"]
    sought = Sought(frozenset({"pcb", "single"}))
    assert listed(measured, sought).column("id").to_pylist() == ["mid", "b"]
    assert len(sought) == 1 and not Sought()


def test_what_a_person_said_has_columns_and_narrows(measured: Measured) -> None:
    remarks = {
        "mid": Remark(name="My best, so far", star=True),
        "b": Remark(note="compare with Mid"),
        "half": Remark(asked=True),
        "gone": Remark(name="of another family", star=True),
    }
    table = listed(measured, remarks=remarks)
    assert table.column("name").to_pylist() == ["", "", "My best, so far", ""]
    assert table.column("star").to_pylist() == [False, False, True, False]
    assert table.column("note").to_pylist() == ["", "", "", "compare with Mid"]
    for sought, ids in (
        (Sought(starred=True), ["mid"]),
        (Sought(mine=True), ["half", "mid"]),
        (Sought(text="BEST, s"), ["mid"]),
        (Sought(text="mid"), ["mid", "b"]),
        (Sought(text="mid", mine=True), ["mid"]),
        (Sought(text="nothing"), []),
    ):
        assert listed(measured, sought, remarks).column("id").to_pylist() == ids
    assert len(Sought(text="mid", mine=True)) == 2


def test_the_front_is_listed_whole_and_then_the_latest() -> None:
    front = np.array([False, True, False, False, True])
    every = np.ones(5, dtype=bool)
    assert in_order(front, every, 3).tolist() == [1, 4, 3]
    assert in_order(front, every, None).tolist() == [1, 4, 3, 2, 0]


def test_why_a_score_is_missing_has_a_column(measured: Measured) -> None:
    lost = scored(mix(0.0, 1.0), 0.9, None, "lost")
    lost.error = "loss: beyond a float"
    there = scored(mix(1.0, 1.0), 0.1, 1.0, "p")
    table = listed(measure([lost, there], ("facts", "loss")))
    said = zip(table.column("id").to_pylist(), table.column("no score").to_pylist(), strict=True)
    assert dict(said) == {"lost": "loss: beyond a float", "p": ""}
    assert "no score" not in listed(measure([there], ("facts", "loss"))).column_names


def test_an_error_of_0_is_not_shown_as_certainty() -> None:
    """No example failed: the interval says how sure that is, a file says both."""
    sure = {"mean": 0.0, "stderr": 0.0, "n": 40, "low": 0.0, "high": 0.09}
    found = measure([Point("p", mix(1.0, 1.0).as_dict(), {"facts": sure})], ("facts", "loss"))
    shown, written = (
        columns(found, AXES, np.array([False]), np.array([0]), {}, certain=each)
        for each in (False, True)
    )
    assert shown.column("facts stderr").to_pylist() == [None]
    assert written.column("facts stderr").to_pylist() == [0.0]
    assert shown.column("facts high").to_pylist() == [0.09]


def test_objectives_keep_their_names_beside_columns_called_alike() -> None:
    names = Names(("method", "front"))
    recipe = resolve(Recipe("task_arithmetic", {"method": 1.0, "front": 0.5}), names)
    score = {"mean": 0.5, "stderr": 0.1, "n": 9, "low": None, "high": None}
    point = Point("p", recipe.as_dict(), {"method": score, "front": score})
    found = measure([point], ("method", "front"))
    axes = (Axis("method", True), Axis("front", True))
    table = columns(found, axes, np.array([True]), np.array([0]), {})
    assert len(set(table.column_names)) == table.num_columns
    assert table.column("method").to_pylist() == [0.5]
    assert table.column("point front").to_pylist() == [True]
    assert table.column("coefficient method").to_pylist() == [1.0]


def test_a_file_has_every_digit_and_front_reads_it_back(
    measured: Measured, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "points.csv"
    path.write_bytes(of_table(listed(measured)))
    with open(path, newline="", encoding="utf-8") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert list(rows["b"])[:9] == [
        "id", "name", "star", "note", "front", "method", "parameters", "coefficient helpful",
        "coefficient terse",
    ]  # fmt: skip
    assert float(rows["b"]["facts"]) == 0.1 + 0.2 and rows["half"]["loss"] == ""
    assert float(rows["mid"]["loss stderr"]) == 0.01 and rows["mid"]["loss n"] == "40"
    asked = ["front", "--csv", str(path), "--objectives", "facts,loss"]
    assert main([*asked, "--directions", "max,min", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["front"] == ["low"] and (said["points"], said["failed"]) == (4, 1)
