"""Which points an export offers, where it may go, what is known of it afterwards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from engine.recipe import Recipe
from studio.export.exports import (
    FRONT_SHOWN,
    choices,
    default_place,
    listing,
    look_up,
    refusal,
    score_table,
)
from studio.points.view import Axis, Measured


def test_a_new_or_empty_directory_is_fine(tmp_path: Path) -> None:
    assert refusal(tmp_path / "new" / "deeper") is None
    assert refusal(tmp_path) is None


def test_what_cannot_be_written_is_said_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for out, what in (
        (tmp_path, "not empty"),
        (tmp_path / "file", "not a directory"),
        (Path("relative/out"), "absolute"),
    ):
        problem = refusal(out)
        assert problem is not None and what in problem.what and problem.fix


def test_no_room_is_said(tmp_path: Path) -> None:
    problem = refusal(tmp_path / "out", 10**18)
    assert problem is not None and "are free" in problem.what and problem.fix


def test_each_export_has_its_own_place(tmp_path: Path) -> None:
    first = default_place(tmp_path, "trio", "abc")
    assert first == tmp_path / "exports" / "trio-abc"
    first.mkdir(parents=True)
    assert default_place(tmp_path, "trio", "abc") == first.with_name("trio-abc-2")


def test_files_are_listed_with_their_sizes() -> None:
    text = listing([("a", 5, False), ("long", 1500, True)])
    assert text == "a          5 bytes\nlong  about 1.5 kB"


def points(count: int) -> Measured:
    """The first and the last are the front over the two objectives; the second is a model."""
    recipes = [Recipe("task_arithmetic", {"x": float(k)}) for k in range(count)]
    recipes[1] = Recipe("single", {}, {"model": "base"})
    mean = np.full((count, 2), 0.4)
    mean[0], mean[-1] = (1.0, 0.0), (0.5, 0.5)
    blank = np.full((count, 2), np.nan)
    ids = tuple(f"{k:012x}" for k in range(0xA0000, 0xA0000 + count))
    counted = np.full((count, 2), 10)
    return Measured(("up", "down"), ids, tuple(recipes), mean, blank, counted, {}, blank, blank)


AXES = (Axis("up", True), Axis("down", True))


def test_few_of_many_points_are_offered() -> None:
    measured = points(10_000)
    ids = measured.ids
    assert choices(measured, AXES, (), None) == [ids[0], ids[-1], ids[1]]
    tray = [measured.recipes[7], Recipe("task_arithmetic", {"x": 0.123})]
    asked = choices(measured, AXES, tray, ids[-1])
    assert asked == [ids[-1], ids[0], ids[1], ids[7]]
    assert choices(measured, AXES, (), "unknown") == [ids[0], ids[-1], ids[1]]


def test_a_crowded_front_is_cut() -> None:
    measured = replace(points(500), mean=np.full((500, 2), 0.5))
    assert len(choices(measured, AXES, (), None)) == FRONT_SHOWN


def test_a_point_is_found_by_its_id() -> None:
    measured = points(20)
    assert look_up(measured, measured.ids[3]) == (measured.ids[3], "")
    assert look_up(measured, " 0000000A0003 ") == (measured.ids[3], "")
    for text, why in (("00", "at least 4"), ("0000000a", "enter more"), ("ffff", "no point ffff")):
        found, said = look_up(measured, text)
        assert found is None and why in said
    short = replace(measured, ids=("abcdef", *measured.ids[1:]))
    assert look_up(short, "abcd") == ("abcdef", "")


def test_scores_side_by_side() -> None:
    score = {"mean": 1.0, "stderr": 0.0, "n": 10, "low": 0.72, "high": 1.0}
    measured = points(3)
    [up, down] = score_table(measured, measured.ids[0], AXES, [{"objective": "up", "score": score}])
    assert up == {"objective": "up ↑", "explored": "1.000", "held back": "1.000 [0.720, 1.000]"}
    assert down["held back"] == "not measured yet"
