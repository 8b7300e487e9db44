from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np
import pytest

from engine.errors import BadInput
from engine.front.csv_file import read_csv
from engine.front.preference import Range, frozen_ranges
from engine.front.table import (
    front_report,
    recommend_report,
    table_of,
)


@dataclass(frozen=True)
class Scored:
    id: str
    scores: dict = field(default_factory=dict)
    error: str | None = None
    recipe: dict = field(default_factory=lambda: {"method": "single"})
    seconds: float | None = 1.0


def scored(name: str, error: str | None = None, **means: float | None) -> Scored:
    blank = {"stderr": 0.1, "n": 4, "low": None, "high": None}
    return Scored(name, {key: {"mean": mean, **blank} for key, mean in means.items()}, error)


@pytest.fixture
def csv_file(tmp_path):
    def write(text: str | bytes):
        path = tmp_path / "points.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_front_of_a_csv(csv_file):
    path = csv_file("acc,latency\n0.5,10\n0.9,20\n0.4,10\n,5\n0.9,20\n0.8,slow\n")
    report = front_report(read_csv(path, ["max", "min"]))
    assert report == {
        "objectives": ["acc", "latency"],
        "front": ["0", "1", "4"],
        "ranks": {"0": 1, "1": 1, "2": 2, "4": 1},
        "hypervolume": pytest.approx(0.04 * 11 + 0.4 * 1),
        "reference": pytest.approx([0.46, 21.0]),
        "points": 6,
        "failed": 2,
        "incomplete": 0,
        "probability": None,
        "bounds": [],
    }
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_a_column_of_ids_anywhere(csv_file):
    table = read_csv(csv_file("a,id,b\n1,x,2\n3,y,1\n"), ["max", "max"])
    assert table.names == ("a", "b") and table.ids == ("x", "y")
    assert front_report(table)["front"] == ["x", "y"]
    assert recommend_report(table, {"a": 1.0}) == {
        "point": {
            "id": "y",
            "recipe": None,
            "scores": {
                "a": {"mean": 3.0, "stderr": None, "n": None, "low": None, "high": None},
                "b": {"mean": 1.0, "stderr": None, "n": None, "low": None, "high": None},
            },
            "seconds": None,
            "error": None,
        },
        "unmet": [],
        "share": None,
        "rivals": [],
    }


def test_a_cell_that_is_no_finite_number_is_failed(csv_file):
    cells = ["", " ", "x", "nan", "inf", "-inf", "1_0", "1,5", "0x10"]
    rows = "".join(f'"{cell}",1\n' for cell in cells)
    report = front_report(read_csv(csv_file("a,b\n" + rows + " 1.5e0 ,1\n"), ["max", "max"]))
    assert report["failed"] == len(cells) and report["front"] == [str(len(cells))]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_plain_file_is_read_at_once_as_one_that_is_not(csv_file, end):
    """A quoted cell makes the reader look at each line by itself."""
    lines = ["a, id ,b", "1,x,2e3", "", " 3.5 , y ,-4", "nan,z,1e400", "7,w,inf", "0.1,v,+.5"]
    plain, each = (
        read_csv(csv_file(end.join([*lines, last])), ["max", "min"])
        for last in ("8,u,9", '8,"u",9')
    )
    assert plain.ids == each.ids == ("x", "y", "z", "w", "v", "u")
    np.testing.assert_array_equal(plain.values, each.values)
    assert [plain.document(row) for row in range(6)] == [each.document(row) for row in range(6)]


def test_a_cell_outside_the_objectives_chosen_fails_nothing(csv_file):
    table = read_csv(csv_file("a,b\n1,\n2,3\n"), ["max", "min"])
    assert front_report(table, ["a"])["failed"] == 0
    chosen = front_report(table, ["b", "a"])
    assert chosen["objectives"] == ["b", "a"] and chosen["failed"] == 1


def test_blank_lines_and_marks_are_passed_over(csv_file):
    table = read_csv(csv_file(b"\xef\xbb\xbfa , b\r\n\r\n1,2\r\n\r\n3,4\r\n\r\n"), ["max", "max"])
    assert (table.names, table.ids, table.values.tolist()) == (
        ("a", "b"),
        ("0", "1"),
        [[1.0, 2.0], [3.0, 4.0]],
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "points.csv: the file is empty"),
        ("a,b\n1,2\n1\n", "points.csv:3: 1 cell, but the header has 2"),
        ("a,b\n1,2,3\n", "points.csv:2: 3 cells"),
        ("a,a\n1,2\n", "points.csv:1: two columns are named 'a'"),
        ("a,\n1,2\n", "points.csv:1: a column has no name"),
        ("id\nx\n", "points.csv:1: there is no objective column"),
        ("a,b,c\n1,2,3\n", r"points.csv:1: 3 objectives \(a, b, c\), but 2 directions"),
        ("id,a,b\nx,1,2\ny,1,2\nx,1,2\n", "points.csv:4: id 'x' is also in line 2"),
        ("id,a,b\n,1,2\n", "points.csv:2: this point has no id"),
        ("a,b\n1,2\n1e308,-2\n", r"points.csv:3: a is 1e\+308, too large to be compared"),
        ('a,b\n"1",2\n1,-1e308\n', r"points.csv:3: b is -1e\+308, too large to be compared"),
        ('a,b\n1,2\n"3,4\n', "points.csv:3: not CSV"),
        (b"a,b\n1,\xff\n", "points.csv: not UTF-8"),
    ],
)
def test_what_is_no_table_is_said_with_its_line(csv_file, text, said):
    with pytest.raises(BadInput, match=said):
        read_csv(csv_file(text), ["max", "min"])


def test_a_volume_beyond_all_numbers_is_none(csv_file):
    path = csv_file("a,b,c\n1e140,-1e140,0\n-1e140,1e140,1e140\n")
    report = front_report(read_csv(path, ["max"] * 3))
    assert report["front"] == ["0", "1"] and report["hypervolume"] is None
    json.dumps(report, allow_nan=False)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(BadInput, match=r"none\.csv"):
        read_csv(tmp_path / "none.csv", ["max"])
    with pytest.raises(BadInput, match="--directions"):
        read_csv(tmp_path / "none.csv", ["up"])


def test_points_of_a_study():
    table = table_of(
        [
            scored("p1", a=0.5, b=0.5),
            scored("p2", a=0.9),
            scored("p3", error="out of memory"),
            scored("p4", a=0.9, b=None),
            scored("p5", a=0.2, b=0.9, error="failed on another objective"),
        ],
        {"a": "maximize", "b": "maximize"},
    )
    report = front_report(table)
    assert report["front"] == ["p1", "p5"]
    assert (report["points"], report["failed"], report["incomplete"]) == (5, 1, 2)
    chosen = front_report(table, ["a"])
    assert chosen["front"] == ["p2", "p4"]
    assert (chosen["failed"], chosen["incomplete"]) == (1, 0)
    found = recommend_report(table, {"b": 1.0}, {"a": (0.4, None)})
    assert found["point"]["id"] == "p1" and found["point"]["recipe"] == {"method": "single"}
    assert found["point"]["scores"]["a"]["stderr"] == 0.1 and found["unmet"] == []


def test_an_unmet_bound_is_reported(csv_file):
    table = read_csv(csv_file("a,b\n1,2\n3,1\n"), ["max", "max"])
    found = recommend_report(table, {"b": 1.0}, {"a": (5.0, None)})
    assert found["point"]["id"] == "1"
    assert found["unmet"] == [{"name": "a", "bound": 5.0, "closest": 3.0}]


def test_references(csv_file):
    table = read_csv(csv_file("a,b\n1,2\n3,1\n"), ["max", "max"])
    assert front_report(table, reference=[0.0, 0.0])["hypervolume"] == 4.0
    frozen = {"a": Range(ideal=3.0, nadir=1.0), "b": Range(ideal=2.0, nadir=1.0)}
    assert front_report(table, ranges=frozen)["reference"] == pytest.approx([0.8, 0.9])
    assert front_report(table, reference=[0.0, 0.0], ranges=frozen)["reference"] == [0.0, 0.0]
    with pytest.raises(BadInput, match="1 value for 2 objectives"):
        front_report(table, reference=[0.0])
    with pytest.raises(BadInput, match="not finite"):
        front_report(table, reference=[0.0, np.nan])


def test_without_a_complete_point(csv_file):
    table = read_csv(csv_file("a,b\n1,\n"), ["max", "max"])
    report = front_report(table)
    assert report["front"] == [] and report["ranks"] == {} and report["failed"] == 1
    assert report["hypervolume"] is None and report["reference"] is None
    assert front_report(table, reference=[0.0, 0.0])["hypervolume"] == 0.0
    with pytest.raises(BadInput, match="none of 1 point has"):
        recommend_report(table, {"a": 1.0})
    assert front_report(read_csv(csv_file("a\n"), ["max"]))["points"] == 0


def test_objectives_that_are_none(csv_file):
    table = read_csv(csv_file("acc,lat\n1,2\n"), ["max", "min"])
    with pytest.raises(BadInput, match="Did you mean acc"):
        front_report(table, ["ac"])
    with pytest.raises(BadInput, match="twice"):
        front_report(table, ["acc", "acc"])
    with pytest.raises(BadInput, match="lat"):
        recommend_report(table, {"lat": 1.0}, objectives=["acc"])


def test_ranges_freeze_once_every_single_has_every_score():
    directions = {"a": "maximize", "b": "minimize"}

    def frozen(singles, models=2):
        table = table_of(singles, directions)
        return frozen_ranges(table.names, table.values, table.maximize, models)

    singles = [scored("base", a=0.1, b=5.0), scored("x", a=0.7)]
    assert frozen(singles) is None
    assert frozen([], 0) is None
    singles[1] = scored("x", a=0.7, b=9.0)
    assert frozen(singles, 3) is None
    assert frozen(singles) == {"a": Range(ideal=0.7, nadir=0.1), "b": Range(ideal=5.0, nadir=9.0)}


def test_columns_beside_the_objectives_named_are_passed_over(csv_file) -> None:
    path = csv_file("id,method,a,a stderr,b\nx,linear,1,0.1,5\ny,pcb,2,,4\nz,pcb,1,0.1,6\n")
    table = read_csv(path, ["max", "min"], ["b", "a"])  # directions in the order of the columns
    assert table.names == ("a", "b") and table.ids == ("x", "y", "z")
    assert front_report(table, ["b", "a"])["front"] == ["y"]
    with pytest.raises(BadInput, match="4 objectives"):
        read_csv(path, ["max", "min"])
    with pytest.raises(BadInput, match="4 objectives"):
        read_csv(path, ["max", "min"], ["a", "c"])


def test_all_columns_are_objectives_where_there_is_a_direction_for_each(csv_file) -> None:
    path = csv_file("a,b,c\n1,5,0\n2,4,1\n")
    table = read_csv(path, ["max", "min", "max"], ["b"])
    assert table.names == ("a", "b", "c")
