"""Examples of an objective that no study holds, as a whole evaluation would score them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.errors import BadInput
from engine.jobs.models import Models
from engine.jobs.previewing import preview_objective
from engine.jobs.service import Service
from engine.worker.messages import Job
from tests.engine.jobs.alone import Alone
from tests.engine.jobs.small import build_small_study, recipe, single
from tests.families import write_lines


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = build_small_study(tmp_path_factory.mktemp("family"))
    rows = [
        {"prompt": f"the quick {word}", "choices": ["a", "kind answer"], "answer": 1}
        for word in ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    ]
    write_lines(found.parent / "choices.jsonl", rows)
    messages = [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hello"}]
    write_lines(found.parent / "messages.jsonl", [{"messages": messages, "targets": ["a", "b"]}])
    return found


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return Models(tmp_path_factory.mktemp("workspace"), "cpu")


def ask(models: Models, study: Path, recipe: Any = None, **objective: Any) -> Any:
    payload = {"study": str(study), "objective": {"name": "new", **objective}}
    payload["recipe"] = recipe or single("base")
    return preview_objective(models, payload, lambda *_: None, lambda: None)


def scored(study: Path, workspace: Path, objective: dict[str, Any], made: Any) -> dict[str, Any]:
    """The score row of the same objective in a study of its own."""
    document = yaml.safe_load(study.read_text()) | {"objectives": [{"name": "new", **objective}]}
    other = study.parent / "whole.yaml"
    other.write_text(yaml.safe_dump(document))
    rows: list[dict[str, Any]] = []

    def emit(kind: str, data: Any = None) -> None:
        if kind == "result":
            rows.append(data["row"])

    service = Service(workspace, "cpu")
    try:
        job = Job("evaluate", {"study": str(other), "recipes": [made]})
        service.run(job, Alone(emit), lambda: None)
    finally:
        service.close()
    [row] = rows
    return row


@pytest.mark.parametrize(
    "objective",
    [
        {"scorer": "contains", "data": "rows.jsonl", "max_new_tokens": 6},
        {"scorer": "nll", "data": "rows.jsonl"},
        {"scorer": "kl_to_base", "data": "rows.jsonl", "max_new_tokens": 3},
    ],
    ids=lambda each: each["scorer"],
)
def test_values_are_those_an_evaluation_gives(
    models: Models, study: Path, tmp_path: Path, objective: dict[str, Any]
) -> None:
    made = recipe(helpful=0.5)
    found = ask(models, study, made, **objective)
    assert len(found["examples"]) == 5
    row = scored(study, tmp_path, objective | {"limit": 5}, made)
    assert [each["value"] for each in found["examples"]] == row["values"]
    assert found["mean"] == row["mean"] and found["stderr"] == row["stderr"]


def test_an_example_shows_prompt_answer_and_target(models: Models, study: Path) -> None:
    lines = study.parent.joinpath("rows.jsonl").read_text().splitlines()
    found = ask(models, study, scorer="contains", data="rows.jsonl", max_new_tokens=6)
    for each in found["examples"]:
        row = yaml.safe_load(lines[each["line"] - 1])
        assert each["prompt"] == row["prompt"]
        assert each["target"] == "\n".join(row["targets"])
        assert each["value"] == float(any(target in each["said"] for target in row["targets"]))


def test_a_choice_shows_what_each_choice_scored(models: Models, study: Path) -> None:
    found = ask(models, study, scorer="choice", data="choices.jsonl")
    for each in found["examples"]:
        sums = dict(reversed(line.split("  ", 1)) for line in each["said"].split("\n"))
        assert list(sums) == ["a", "kind answer"] and each["target"] == "kind answer"
        assert each["value"] == float(float(sums["kind answer"]) > float(sums["a"]))


def test_messages_are_shown_with_their_roles(models: Models, study: Path) -> None:
    found = ask(models, study, scorer="nll", data="messages.jsonl", report_fraction=0.0, chat=True)
    [each] = found["examples"]
    assert each["prompt"] == "system: be kind\nuser: hello"
    assert each["target"] == "a\nb" and each["said"] is None and each["value"] > 0
    assert found["stderr"] is None


def test_an_objective_without_data_has_one_value(models: Models, study: Path) -> None:
    found = ask(models, study, scorer="cost")
    assert found["examples"] == [
        {"line": None, "prompt": None, "target": None, "said": None, "value": 1.0}
    ]


def test_the_objective_s_own_limit_counts(models: Models, study: Path) -> None:
    found = ask(models, study, scorer="nll", data="rows.jsonl", limit=2)
    assert len(found["examples"]) == 2


@pytest.mark.parametrize(
    ("objective", "what"),
    [
        ({"scorer": "exact_mach", "data": "rows.jsonl"}, "Did you mean exact_match"),
        ({"scorer": "contains", "data": "gone.jsonl"}, "no such file"),
        ({"scorer": "regex", "data": "rows.jsonl", "pattern": "("}, "not a regular expression"),
        ({"scorer": "contains", "data": "rows.jsonl", "limit": 0}, "whole number"),
        ({}, "'scorer' is missing"),
    ],
)
def test_what_cannot_be_used_is_said(
    models: Models, study: Path, objective: dict[str, Any], what: str
) -> None:
    with pytest.raises(BadInput, match=what):
        ask(models, study, **objective)
