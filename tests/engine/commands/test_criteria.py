"""--constraint, --cone and --utility of front and recommend, and the study's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.__main__ import main
from tests import headless
from tests.families import FamilyFiles, build_tied_family

CSV = "id,a,b\nx,0,1\ny,0.4,0.5\nz,1,0\nw,0.3,0.4\n"
GIVEN = ("--directions", "max,max", "--json")


def asked(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str, *words: str
) -> dict[str, Any]:
    place = folder / "points.csv"
    place.write_text(CSV)
    assert main([command, "--csv", str(place), *GIVEN, *words]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_front(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = asked(tmp_path, capsys, "front", "--constraint", "a + b <= 0.95", "--utility", "a")
    assert found["front"] == ["y"] and found["excluded"] == 2 and found["utility"] == {"y": 0.4}
    found = asked(tmp_path, capsys, "front", "--cone", "1 b for 0.9 a")
    assert found["front"] == ["z"] and found["cone"] == ["1 b for 0.9 a"]


def test_recommend(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    limit = ("--constraint", "2*a + b >= 1.2", "b >= 0.1")
    found = asked(tmp_path, capsys, "recommend", "--weight", "b=1", *limit)
    assert found["point"]["id"] == "y" and found["unmet"] == [] and "utility" not in found
    found = asked(tmp_path, capsys, "recommend", "--utility", "min(a, b)", "--at-least", "a=1")
    assert found["point"]["id"] == "z" and found["utility"] == {"mean": 0.0, "stderr": None}
    found = asked(tmp_path, capsys, "recommend", "--weight", "a=1", "--constraint", "a + b >= 2")
    assert found["unmet"] == [{"name": "a + b", "bound": 2.0, "closest": 1.0}]


def test_what_cannot_be_used_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "points.csv").write_text(CSV)
    start = ["recommend", "--csv", str(tmp_path / "points.csv"), *GIVEN]
    for words, said in (
        ((), "neither --weight nor --utility"),
        (("--weight", "a=1", "--utility", "a"), "both --weight and --utility"),
        (("--utility", "a.b"), "--utility: 'a.b' is not allowed"),
        (("--weight", "a=1", "--constraint", "a*b >= 1"), "--constraint: 'a*b >= 1' is not linear"),
        (("--weight", "a=1", "--cone", "1 a for 2 a"), "--cone"),
    ):
        assert main([*start, *words]) == 2
        assert said in capsys.readouterr().err


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> FamilyFiles:
    return build_tied_family(tmp_path_factory.mktemp("criteria"))


def test_a_study_says_them_for_every_call(files: FamilyFiles, tmp_path: Path) -> None:
    objectives = [
        {"name": name, "data": "data/choice.jsonl", "scorer": "choice", "limit": limit}
        for name, limit in (("pick", 2), ("more", 3))
    ]
    study = files.study("helpful", objectives=objectives, name="asking")
    study.write_text(study.read_text() + "utility: 2*pick - more\nconstraints: [pick >= 7]\n")
    words = ("--method", "linear", "--points", 2, "--executor", "inline")
    assert headless.run(tmp_path, "sweep", study, *words).code == 0

    def recommended(*more: str) -> dict[str, Any]:
        ran = headless.run(tmp_path, "recommend", study, *more)
        assert ran.code == 0, ran.err
        found: dict[str, Any] = json.loads(ran.out)
        return found

    found = recommended()
    scores = found["point"]["scores"]
    assert found["utility"]["mean"] == 2 * scores["pick"]["mean"] - scores["more"]["mean"]
    assert found["utility"]["stderr"] > 0 and found["unmet"][0]["bound"] == 7.0
    assert "utility" not in recommended("--weight", "more=1")
    more = recommended("--weight", "more=1", "--objectives", "more", "--constraint", "more >= 8")
    assert [each["name"] for each in more["unmet"]] == ["pick", "more"]
    unknown = headless.run(tmp_path, "recommend", study, "--optimise", "--method", "nope")
    assert unknown.code == 2 and "there is no method" in unknown.err
