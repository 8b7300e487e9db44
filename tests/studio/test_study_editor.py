"""An objective more in a study file, all else as it was."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from engine import replacing
from engine.errors import BadInput
from engine.family.compatibility import Family, open_family
from engine.study import FamilySpec, load_study
from studio import study_editor as adding
from studio.points.view import Axis, Measured
from tests.families import FamilyFiles

ITEM = {
    "name": "more", "data": "data/more.jsonl", "scorer": "regex", "pattern": "x: '(\\d)' # no",
    "stop": ["\n\n", "é"],
}  # fmt: skip

HEAD = "study: trio\nfamily:\n  base: models/base  # ours\n  experts: {a: models/a}\n"
INDENTED = """\
objectives:
  - name: facts             # known countries
    data: data/facts.jsonl
    scorer: exact_match
    stop:
      - "\\n"
  # the cheap one
  - name: cost
    scorer: cost            # no data
"""
RANGES = "\n# sliders\nranges:\n  task_arithmetic: {a: [0, 2]}\n"
STUDIES = {
    "last": HEAD + INDENTED,
    "in the middle": HEAD + INDENTED + RANGES,
    "without an indent": HEAD + INDENTED.replace("\n  ", "\n") + RANGES,
    "no newline at the end": (HEAD + INDENTED).rstrip("\n"),
    "deep": HEAD + INDENTED.replace("\n  ", "\n        "),
    "a block of text": HEAD + "objectives:\n- scorer: regex\n  name: a\n  data: d.jsonl\n"
    "  pattern: |\n    x\n    y\n\n# end\n",
    "a list at the end": HEAD + "objectives:\n- name: a\n  scorer: nll\n  data: d.jsonl\n"
    "  stop: [\"a\",\n    'b']  # two\n",
    "Windows": (HEAD + INDENTED + RANGES).replace("\n", "\r\n"),
}  # fmt: skip


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "study.yaml"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("text", STUDIES.values(), ids=STUDIES.keys())
def test_the_rest_of_the_file_stays_to_the_letter(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    before = load_study(path)
    assert adding.add_objective(path, ITEM) is None
    after = load_study(path)
    assert after.objectives[:-1] == before.objectives
    assert (after.name, after.family, after.ranges) == (before.name, before.family, before.ranges)
    added = after.objectives[-1]
    assert added.name == "more" and added.stop == ("\n\n", "é")
    assert added.options == {"pattern": "x: '(\\d)' # no"}
    assert added.data == tmp_path / "data/more.jsonl"
    kept = path.read_bytes().decode().splitlines()
    assert [line for line in text.splitlines() if line not in kept] == []
    assert [each.name for each in tmp_path.iterdir()] == ["study.yaml"]
    if "\r" in text:
        assert path.read_bytes().count(b"\n") == path.read_bytes().count(b"\r\n")


def test_two_more_stand_in_their_order(tmp_path: Path) -> None:
    path = write(tmp_path, STUDIES["in the middle"])
    adding.add_objective(path, ITEM)
    adding.add_objective(path, {"name": "third", "scorer": "cost"})
    assert [each.name for each in load_study(path).objectives] == ["facts", "cost", "more", "third"]


def test_a_list_in_one_line_is_written_anew_and_a_copy_kept(tmp_path: Path) -> None:
    text = HEAD + "objectives: [{name: cost, scorer: cost}]  # short\n"
    path = write(tmp_path, text)
    (tmp_path / "study.yaml.bak").write_text("an older one")
    path.chmod(0o640)
    kept = adding.add_objective(path, ITEM)
    assert kept == tmp_path / "study.yaml.bak2" and kept.read_text() == text
    assert [each.name for each in load_study(path).objectives] == ["cost", "more"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert (tmp_path / "study.yaml.bak").read_text() == "an older one"


@pytest.mark.parametrize(
    "item",
    [{"name": "cost", "scorer": "cost"}, {"name": "a b", "scorer": "cost"}, {"scorer": "cost"}],
)
def test_an_item_that_makes_no_study_leaves_the_file(tmp_path: Path, item: dict[str, Any]) -> None:
    path = write(tmp_path, STUDIES["last"])
    with pytest.raises(BadInput):
        adding.add_objective(path, item)
    assert path.read_text() == STUDIES["last"]


def test_a_file_that_cannot_be_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, STUDIES["last"])

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(replacing.tempfile, "mkstemp", refuse)
    with pytest.raises(BadInput, match="Permission denied"):
        adding.add_objective(path, ITEM)
    assert path.read_text() == STUDIES["last"]


def test_an_item_holds_only_what_is_not_the_default() -> None:
    values = {
        "name": " facts ", "scorer": "contains", "data": " d.jsonl ", "ignore_case": False,
        "direction": "maximize", "chat": True, "max_new_tokens": 64, "stop": [], "limit": None,
        "report_fraction": 0.0,
    }  # fmt: skip
    assert adding.document_of(values) == {
        "name": "facts", "data": "d.jsonl", "scorer": "contains", "chat": True,
        "report_fraction": 0.0,
    }  # fmt: skip
    assert adding.document_of({"name": "c", "scorer": "cost", "direction": "maximize"}) == {
        "name": "c", "scorer": "cost", "direction": "maximize",
    }  # fmt: skip
    phrases = adding.document_of(
        {"name": "r", "scorer": "refusal", "data": "d", "phrases": ("no",)}
    )
    assert phrases["phrases"] == ["no"] and yaml.safe_dump(phrases)


def test_stops_are_lines_with_escapes() -> None:
    assert adding.texts_of("\\n\\n\n\n  Q:\n \n") == ["\n\n", "  Q:"]


def test_each_scorer_says_what_it_does_needs_and_comes_from() -> None:
    assert adding.scorers()[0] == "exact_match" and adding.scorers()[-1] == "cost"
    for name in adding.scorers():
        text = adding.scorer_text(name)
        assert text.startswith(f"{name}: ") and "Source: " in text and "It reads " in text


@pytest.fixture(scope="module")
def opened(family: FamilyFiles) -> Family:
    return open_family(FamilySpec(family.base, {"terse": family.experts["terse"]}))


def test_a_document_is_checked_with_its_data(family: FamilyFiles, opened: Family) -> None:
    study = load_study(family.study("terse", name="adding"))
    item = {"name": "new", "scorer": "contains", "data": "data/contains.jsonl", "limit": 7}
    objective, counted = adding.check_document(item, study, opened)
    assert objective.direction == "maximize" and counted.explore == 7 and counted.report > 0
    assert "7 examples to explore with" in str(counted)
    _, none = adding.check_document({"name": "c", "scorer": "cost"}, study, opened)
    assert str(none) == "It needs no data."


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"name": "exact"}, "an objective of this name"),
        ({"data": ""}, "no file is given"),
        ({"data": "data/choice.jsonl"}, "neither target nor targets"),
        ({"scorer": "regex", "pattern": "("}, "not a regular expression"),
        ({"report_fraction": 1.0}, "in the explore split"),
    ],
)
def test_every_problem_of_a_document_is_said(
    family: FamilyFiles, opened: Family, change: dict[str, Any], what: str
) -> None:
    study = load_study(family.study("terse", name="adding"))
    item = {"name": "new", "scorer": "contains", "data": "data/contains.jsonl"} | change
    with pytest.raises(BadInput, match=what):
        adding.check_document(item, study, opened)


def measured(mean: list[list[float]], singles: list[bool]) -> Measured:
    from engine.recipe import Recipe

    recipes = tuple(Recipe("single" if each else "task_arithmetic") for each in singles)
    ids = tuple(map(str, range(len(mean))))
    return Measured(("f", "g", "new"), ids, recipes, np.array(mean))


def test_points_that_lack_a_score_and_those_of_them_on_the_front() -> None:
    nan = float("nan")
    found = measured(
        [[1, 0, nan], [0, 1, 5], [0.5, 0.5, nan], [0.4, 0.4, nan], [0, 0, nan]],
        [True, False, False, False, True],
    )
    axes = (Axis("f", True), Axis("g", True), Axis("new", True))
    assert adding.measured_of(found) == {"f": 5, "g": 5, "new": 1}
    assert adding.lacking(found) == [0, 2, 3, 4]
    assert adding.lacking(found, singles=False) == [2, 3]
    assert adding.on_front(found, axes, [0, 2, 3, 4]) == [0, 2]
    assert adding.on_front(found, axes[2:], [0, 2]) == [] and adding.on_front(found, axes, []) == []
