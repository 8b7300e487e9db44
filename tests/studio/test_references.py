"""References: scored as they would be as models of a family, and in none of its lists."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from cache.blobs import Blobs
from engine.commands.report import REPORTS
from engine.commands.session import Session
from engine.errors import BadInput
from engine.recipe import FrozenDict, Recipe, resolve
from engine.study import load_study
from engine.study_reference import reference_study
from studio.charts.external import with_external
from studio.compare import slices
from studio.compare.shown_csv import shown_csv
from studio.external.points import External, Score
from studio.points.view import Axis
from studio.references import WORD, references_of
from tests import headless
from tests.engine.jobs.small import build_small_study

OBJECTIVES: tuple[dict[str, Any], ...] = (
    {"name": "has", "data": "rows.jsonl", "scorer": "contains", "max_new_tokens": 6},
    {"name": "loss", "data": "rows.jsonl", "scorer": "nll"},
    {"name": "cost", "scorer": "cost"},
    {"name": "drift", "data": "rows.jsonl", "scorer": "kl_to_base", "max_new_tokens": 4},
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The family's own models once more as references, under other names."""
    root = tmp_path_factory.mktemp("family")
    place = build_small_study(root, adapter=True, objectives=OBJECTIVES)
    document = yaml.safe_load(place.read_text())
    document["references"] = {"all data": "helpful", "tuned": "terse"}
    place.write_text(yaml.safe_dump(document, sort_keys=False))
    return place


@pytest.fixture(scope="module")
def home(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which the models and one mixture are scored."""
    home = tmp_path_factory.mktemp("home")
    recipes = []
    for name, text in {
        "base": "method: single\nparameters: {model: base}\n",
        "helpful": "method: single\nparameters: {model: helpful}\n",
        "terse": "method: single\nparameters: {model: terse}\n",
        "mixed": "method: task_arithmetic\ncoefficients: {helpful: 0.5}\n",
    }.items():
        recipes.append(home / f"{name}.yaml")
        recipes[-1].write_text(text)
    ran = headless.run(home, "evaluate", study, "--device", "cpu", "--recipe", *recipes)
    assert ran.code == 0, ran.err
    return home


def ran(home: Path, *words: object) -> Any:
    found = headless.run(home, *words, "--device", "cpu")
    assert found.code == 0, found.err
    return found.document


def test_scores_are_those_of_the_same_model_in_the_family(study: Path, home: Path) -> None:
    documents = ran(home, "references", study)
    found = {each["name"]: each for each in documents["references"]}
    recipes = [home / "helpful.yaml", home / "terse.yaml"]
    singles = ran(home, "evaluate", study, "--recipe", *recipes)["points"]
    for name, single in zip(("all data", "tuned"), singles, strict=True):
        assert set(found[name]["scores"]) == {"has", "loss"}
        for objective, score in found[name]["scores"].items():
            assert score == pytest.approx(single["scores"][objective])
        assert set(found[name]["skipped"]) == {"cost", "drift"}
    assert "not on cost" in REPORTS["references"](documents)
    assert ran(home, "references", study) == documents


def test_it_stands_beside_the_front_and_is_the_end_of_a_gap(study: Path, home: Path) -> None:
    ran(home, "references", study)
    words = ("front", study, "--objectives", "has,loss")
    document = ran(home, *words, "--gap", "base,all data")
    beside = {each["name"]: each for each in document["external"]}
    assert list(beside) == ["all data", "tuned"]
    assert all(each["origin"] == "reference" for each in beside.values())
    assert not {each["id"] for each in beside.values()} & set(document["front"])
    assert document["points"] == 4
    other = ran(home, *words, "--gap", "base,helpful")["gap"]
    for point, each in document["gap"].items():
        for name, gap in each["objectives"].items():
            same = other[point]["objectives"][name]
            assert gap["value"] == pytest.approx(same["value"])
    refused = headless.run(home, *words, "--gap", "base,all dat", "--device", "cpu")
    assert refused.code == 2 and "Did you mean all data" in refused.err


def test_what_cannot_be_one_is_refused(study: Path, tmp_path: Path) -> None:
    document = yaml.safe_load(study.read_text())
    document["references"] = {"helpful": "helpful", "gone": "nowhere"}
    other = study.parent / "other.yaml"
    other.write_text(yaml.safe_dump(document))
    with pytest.raises(BadInput, match="cannot name a reference: it is reserved"):
        load_study(other)
    document["references"].pop("helpful")
    other.write_text(yaml.safe_dump(document))
    checked = headless.run(tmp_path, "check", other, "--device", "cpu")
    assert checked.code == 2 and "nowhere" in checked.err
    with pytest.raises(BadInput, match="gone"):
        reference_study(load_study(other), "gon")
    none = {**document, "references": {}}
    other.write_text(yaml.safe_dump(none))
    refused = headless.run(tmp_path, "references", other, "--device", "cpu")
    assert refused.code == 2 and "the study has no references" in refused.err


def test_its_mark_on_the_chart_is_its_own() -> None:
    def of(mean: float) -> Score:
        return Score(mean, 0.1, 20, "v", "/f", "0" * 64, "CSV", "exact_match", "maximize")

    scores = FrozenDict(facts=of(0.7), refusals=of(0.4))
    rival = External("e" * 12, "rival", scores)
    own = External("f" * 12, "all data", scores, WORD)
    axes = (Axis("facts", True), Axis("refusals", True))
    figure = with_external({"data": [{"type": "scatter"}]}, (rival, own), axes)
    found = {each["name"]: each for each in figure["data"][1:]}
    assert list(found) == ["external", "references"]
    assert found["references"]["text"] == ["all data"]
    marks = {name: each["marker"]["symbol"] for name, each in found.items()}
    assert marks["references"] != marks["external"]
    assert np.allclose(found["references"]["x"], 0.7)


def test_compare_shows_it_as_a_column_with_what_was_scored(study: Path, home: Path) -> None:
    ran(home, "references", study)
    args = SimpleNamespace(study=study, workspace=home, device="cpu", compute_dtype=None)
    with Session(args) as session, Blobs(home) as blobs:
        [has] = session.study.select(["has"])
        objective = next(each for each in session.objectives if each.name == has.name)
        recipe = resolve(Recipe("single", {}, {"model": "helpful"}), session.names)
        found = slices.load(session, objective, [recipe], blobs)
        references = references_of(session)
        columns = references.columns(list(references.all), objective, blobs)
        beside = slices.with_references(found, columns)
        assert beside.names == ("helpful", "all data", "tuned") and beside.measured == (True,) * 3
        assert beside.values[1].tolist() == beside.values[0].tolist()
        assert beside.texts[1] == beside.texts[0] is not None
        table = beside.table([0])
        assert table["B all data"] == table["A helpful"]
        head = shown_csv(beside, [0], [recipe], beside.names[1:]).decode("utf-8-sig")
        assert "B all data: reference, answer" in head.splitlines()[0]
        assert slices.with_references(found, {"x": (np.zeros(3), None)}) is found
