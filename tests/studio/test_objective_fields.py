"""What is wrong with an objective: every problem at once, each with its field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.errors import Problem
from engine.family.compatibility import Family, open_family
from engine.study import FamilySpec
from studio.objective_fields import field_of, fields_of, held_of, problems_of
from tests.families import FamilyFiles


@pytest.fixture(scope="module")
def opened(family: FamilyFiles) -> Family:
    return open_family(FamilySpec(family.base, {"terse": family.experts["terse"]}))


def found(item: dict[str, Any], path: Path, family: Family | None = None) -> dict[str, str]:
    """Field -> what is wrong with it."""
    objective, problems = problems_of(item, path, family)
    assert (objective is None) == bool(problems)
    fields = fields_of(item, problems, path)
    return {field: " ".join(map(str, each)) for field, each in fields.items()}


def test_problems_of_name_options_and_data_come_together(tmp_path: Path) -> None:
    said = found({"name": "", "scorer": "regex", "data": "gone.jsonl"}, tmp_path / "study.yaml")
    assert set(said) == {"name", "pattern", "data"}
    assert "it is empty" in said["name"] and "needs the option" in said["pattern"]
    assert "there is no such file" in said["data"]


@pytest.mark.parametrize(
    ("change", "field", "what"),
    [
        ({"name": "a=b"}, "name", "'=' is reserved"),
        ({"name": "new"}, "", ""),
        ({"data": ""}, "data", "needs data"),
        ({"data": "https://there/data.jsonl"}, "data", "nothing is downloaded"),
        ({"data": "rows.jsonl", "columns": {"prompt": "a", "messages": "b"}}, "data", "both"),
        ({"data": "bad lines.jsonl"}, "data", "neither target nor targets"),
        ({"report_fraction": 1.0}, "report_fraction", "in the explore split"),
        ({"limit": 0}, "limit", "not a whole number"),
        ({"scorer": "regex", "pattern": "("}, "pattern", "not a regular expression"),
        ({"scorer": "refusal", "classifier": "gone"}, "classifier", "no such directory"),
        ({"scorer": "refusal", "phrases": [" "]}, "phrases", "non-blank strings"),
    ],
)
def test_a_problem_stands_at_its_field_alone(
    tmp_path: Path, change: dict[str, Any], field: str, what: str
) -> None:
    rows = [{"prompt": f"p{n}", "target": "t"} for n in range(9)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    (tmp_path / "bad lines.jsonl").write_text('{"prompt": "a"}\n{"prompt": "b"}\n')
    item = {"name": "one", "scorer": "contains", "data": "rows.jsonl"} | change
    said = found(item, tmp_path / "study.yaml")
    assert set(said) == ({field} if field else set())
    assert what in said.get(field, "")


def test_a_template_that_is_not_there_is_said_at_the_box_for_it(
    family: FamilyFiles, opened: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Family, "has_chat_template", False)
    item = {"name": "a", "scorer": "contains", "data": "data/contains.jsonl", "chat": True}
    assert set(found(item, family.root / "study.yaml", opened)) == {"chat"}


def test_what_is_of_no_field_and_of_no_objective(tmp_path: Path) -> None:
    item = {"name": "a", "scorer": "contains", "data": "d.jsonl", "answer_after": 3}
    assert set(found(item, tmp_path / "study.yaml")) == {"", "data"}
    other = Problem(f"{tmp_path}/study.yaml: family.base", "it is missing", "")
    assert field_of(item, other, tmp_path / "study.yaml") is None


def test_data_hold_what_says_how_they_are_read() -> None:
    item = {"name": "a", "scorer": "contains", "data": "d.jsonl"}
    more = held_of({**item, "columns": {"prompt": "q"}})
    assert held_of(item)["data"] != more["data"] and held_of(item)["name"] == more["name"] == "a"
    assert "pattern" in held_of({**item, "scorer": "regex"})
