"""external and front --out: what others measured comes in, and what was measured goes out."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from cache.arrow import pq
from cache.store import Store
from engine.commands.report_others import OTHERS
from engine.front.csv_file import read_csv
from tests import headless
from tests.families import FamilyFiles, build_tied_family

OBJECTIVES = [
    {"name": "pick", "data": "data/choice.jsonl", "scorer": "choice", "limit": 3},
    {"name": "cost", "scorer": "cost"},
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> FamilyFiles:
    return build_tied_family(tmp_path_factory.mktemp("external"))


@pytest.fixture(scope="module")
def home(files: FamilyFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with two points of the study."""
    home = tmp_path_factory.mktemp("home")
    study = files.study("helpful", objectives=OBJECTIVES, name="external")
    ran = headless.run(
        home, "evaluate", study, "--recipe", files.recipe("task_arithmetic", helpful=0.5),
        files.recipe("logit_fusion", helpful=0.5, base=0.5),
    )  # fmt: skip
    assert ran.code == 0, ran.err
    return home


def test_external_points_stand_beside_the_front_and_can_be_removed(
    files: FamilyFiles, home: Path, tmp_path: Path
) -> None:
    study = files.root / "external.yaml"
    before = headless.run(home, "front", study).document
    assert before["external"] == []
    table = tmp_path / "others.csv"
    table.write_text("model,pick,pick n,price\nbest,1,9,0.5\nworst,0,9,9\nhalf,0.5,,\n")
    ran = headless.run(home, "external", study, table, "--as", "cost=price")
    assert ran.code == 0, ran.err
    assert [each["name"] for each in ran.document["imported"]] == ["best", "worst", "half"]
    after = headless.run(home, "front", study).document
    beaten = {each["name"]: each["dominated_by"] for each in after["external"]}
    assert beaten["best"] == 0 and beaten["worst"] == len(after["front"]) > 0
    assert beaten["half"] is None
    assert {**after, "external": []} == before  # no member, no range, no hypervolume changes
    best = after["external"][0]
    assert best["origin"] == "external" and best["scores"]["pick"]["low"] == pytest.approx(
        0.7008, abs=1e-3
    )
    assert best["scores"]["pick"]["origin"]["file"] == str(table)
    with Store.open(home) as store:
        assert store.point(best["id"]) is None  # nothing to load, to export or to fit
    refused = headless.run(home, "export", study, "--point", best["id"], tmp_path / "out")
    assert refused.code == 2 and not (tmp_path / "out").exists()
    again = headless.run(home, "external", study, "--remove", best["id"]).document
    assert "external: worst: pick 0" in OTHERS["external"](again)
    assert [each["name"] for each in again["external"]] == ["worst", "half"]
    other = files.study("helpful", objectives=OBJECTIVES, name="another")
    assert headless.run(home, "external", other).document["external"] == []


def test_scores_of_an_objective_that_has_become_another_are_not_shown(
    files: FamilyFiles, home: Path, tmp_path: Path
) -> None:
    study = files.study("helpful", objectives=OBJECTIVES, name="changing")
    (tmp_path / "t.csv").write_text("pick\n0.5\n")
    assert headless.run(home, "external", study, tmp_path / "t.csv", "--name", "it").code == 0
    turned = [{**OBJECTIVES[0], "direction": "minimize"}, OBJECTIVES[1]]
    files.study("helpful", objectives=turned, name="changing")
    [found] = headless.run(home, "external", study).document["external"]
    assert found["stale"] == ["pick"]
    assert headless.run(home, "front", study).document["external"] == []


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_the_front_goes_out_and_is_read_back(
    files: FamilyFiles, home: Path, tmp_path: Path, ending: str
) -> None:
    study = files.root / "external.yaml"
    files.study("helpful", objectives=OBJECTIVES, name="external")
    out = tmp_path / f"points{ending}"
    document = headless.run(home, "front", study, "--out", out).document
    if ending == ".csv":
        rows = list(csv.DictReader(out.open(newline="")))
        on = [row["id"] for row in rows if row["front"] == "true"]
    else:
        rows = pq.read_table(out).to_pylist()
        on = [row["id"] for row in rows if row["front"]]
    assert {*on} == {*document["front"]} and len(rows) == document["points"] == 2
    recipe = json.loads(rows[0]["recipe"])
    assert {"method", "coefficients", "parameters"} <= recipe.keys()
    assert {"pick", "pick stderr", "pick n", "pick low", "cost"} <= rows[0].keys()
    for row in rows:
        likely = document["probability"][row["id"]]
        assert float(row["front probability"]) == pytest.approx(likely)
    again = headless.run(
        home, "front", "--csv", out, "--objectives", "pick,cost", "--directions", "max,min"
    ).document
    assert {*again["front"]} == {*document["front"]}
    assert read_csv(out, ["max", "min"], ["pick", "cost"]).values.shape == (2, 2)
    back = tmp_path / f"again{ending}"
    ran = headless.run(
        home, "front", "--csv", out, "--objectives", "pick,cost", "--directions", "max,min",
        "--out", back,
    )  # fmt: skip
    assert ran.code == 0 and read_csv(back, ["max", "min"], ["pick", "cost"]).ids == (
        read_csv(out, ["max", "min"], ["pick", "cost"]).ids
    )


def test_a_file_that_cannot_be_written_is_refused(files: FamilyFiles, home: Path) -> None:
    study = files.root / "external.yaml"
    for out in ("points.xlsx", "nowhere/points.csv"):
        assert headless.run(home, "front", study, "--out", out).code == 2
