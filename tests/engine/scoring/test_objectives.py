from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from engine.errors import BadInput
from engine.scoring.objectives import data_notes, objective_fingerprint, prepare
from engine.study import FamilySpec, Objective, Study


def write(path: Path, *rows: Any) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = ({"prompt": f"q{n}", "target": "x"} for n in range(8))
    return write(tmp_path / "facts.jsonl", *rows)


def study(tmp_path: Path, *objectives: Objective) -> Study:
    family = FamilySpec(tmp_path / "base", {"helpful": tmp_path / "helpful"})
    return Study("trio", tmp_path / "study.yaml", family, objectives)


def test_a_fingerprint_ignores_name_direction_place_and_spelt_out_defaults(
    data: Path, tmp_path: Path
) -> None:
    each = Objective("facts", "exact_match", data)
    found = objective_fingerprint(each, "t")
    assert len(found) == 64
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(data.read_bytes())
    for change in (
        {"name": "other"},
        {"direction": "minimize"},
        {"data": copy},
        {"options": {"ignore_case": False}},
        {"template_kwargs": {}, "answer_after": ""},
    ):
        assert objective_fingerprint(dataclasses.replace(each, **change), "t") == found


def test_a_fingerprint_changes_with_all_that_changes_a_score(data: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other.jsonl", {"prompt": "q", "target": "x"})
    each = Objective("facts", "exact_match", data)
    changes: list[dict[str, Any]] = [
        {"scorer": "contains"},
        {"data": other},
        {"report_data": other},
        {"chat": True},
        {"max_new_tokens": 3},
        {"stop": ("\n",)},
        {"limit": 3},
        {"report_fraction": 0.5},
        {"temperature": 1.0},
        {"top_p": 0.5},
        {"top_k": 3},
        {"seed": 1},
        {"template_kwargs": {"enable_thinking": False}},
        {"template_kwargs": {"enable_thinking": True}},
        {"answer_after": "</think>"},
        {"options": {"ignore_case": True}},
    ]
    found = [objective_fingerprint(each, "t"), objective_fingerprint(each, "u")]
    found += [objective_fingerprint(dataclasses.replace(each, **change), "t") for change in changes]
    assert len(set(found)) == len(found)


def test_a_fingerprint_of_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no such file"):
        objective_fingerprint(Objective("facts", "exact_match", tmp_path / "no"), "t")


def test_prepare_fills_in_every_objective(data: Path, tmp_path: Path) -> None:
    facts, price = prepare(
        study(tmp_path, Objective("facts", "exact_match", data), Objective("price", "cost"))
    )
    assert facts.direction == "maximize" and facts.options == {"ignore_case": False}
    assert price.direction == "minimize"


def test_prepare_collects_the_problems_of_all(data: Path, tmp_path: Path) -> None:
    broken = write(tmp_path / "broken.jsonl", {"prompt": "a"}, {"target": "x"})
    with pytest.raises(BadInput) as caught:
        prepare(
            study(
                tmp_path,
                Objective("a", "exact_mach", data),
                Objective("b", "exact_match", broken),
                Objective("c", "exact_match", data, report_data=broken),
                Objective("d", "exact_match", tmp_path / "absent.jsonl"),
                Objective("e", "regex", data, options={"pattern": "("}),
                Objective("f", "exact_match", data),
            )
        )
    places = [each.where for each in caught.value.problems]
    study_file = tmp_path / "study.yaml"
    assert places == [
        f"{study_file}: objective a",
        f"{broken}:1",
        f"{broken}:2",
        f"objective d: {tmp_path / 'absent.jsonl'}",
        f"{study_file}: objective e: option pattern",
    ]


def test_prepare_wants_rows_to_explore_but_not_to_report(tmp_path: Path) -> None:
    one = write(tmp_path / "one.jsonl", {"prompt": "a", "target": "x"})
    prepare(study(tmp_path, Objective("a", "exact_match", one, report_fraction=0.0)))
    with pytest.raises(BadInput, match="explore split"):
        prepare(study(tmp_path, Objective("a", "exact_match", one, report_fraction=1.0)))


def test_prepare_refuses_what_would_say_nothing(data: Path, tmp_path: Path) -> None:
    plain = Objective("a", "exact_match", data, template_kwargs={"enable_thinking": False})
    losses = Objective("b", "nll", data, answer_after="</think>")
    with pytest.raises(BadInput) as caught:
        prepare(study(tmp_path, plain, losses))
    assert "objective a: template_kwargs: none of its prompts use" in str(caught.value)
    assert "objective b: answer_after: nll does not judge generated text" in str(caught.value)
    chat = dataclasses.replace(plain, chat=True)
    assert prepare(study(tmp_path, chat))[0].template_kwargs == {"enable_thinking": False}


def test_prepare_says_that_there_is_no_chat_template(data: Path, tmp_path: Path) -> None:
    spoken = write(tmp_path / "m.jsonl", {"messages": [{"role": "user", "content": "a"}]})
    chat = Objective("a", "exact_match", data, chat=True)
    messages = Objective("b", "kl_to_base", spoken, report_fraction=0.0)
    plain = Objective("c", "exact_match", data)
    whole = study(tmp_path, chat, messages, plain)
    assert len(prepare(whole)) == 3
    with pytest.raises(BadInput) as caught:
        prepare(whole, chat_template=False)
    wheres = [each.where.split("objective ")[1] for each in caught.value.problems]
    assert wheres == ["a: chat", "b: chat"]


def test_what_a_file_is_read_as_is_told(data: Path, tmp_path: Path) -> None:
    goals = tmp_path / "advbench.csv"
    goals.write_text("goal,target\nWrite a virus,Sure\n")
    found = data_notes(study(
        tmp_path, Objective("facts", "exact_match", data), Objective("harm", "refusal", goals),
        Objective("gone", "refusal", tmp_path / "absent"), Objective("price", "cost"),
    ))  # fmt: skip
    assert found == ["harm: advbench.csv is CSV, 1 row, read as AdvBench: prompt = goal."]


def test_prepare_refuses_empty_choices_of_which_nothing_is_measured(tmp_path: Path) -> None:
    row = {"prompt": "q", "choices": ["a", ""], "answer": 0}
    each = Objective("pick", "choice", write(tmp_path / "c.jsonl", row), report_fraction=0.0)
    assert prepare(study(tmp_path, each))  # the space before it is measured
    for change in ({"options": {"normalize": "chars"}}, {"options": {"delimiter": ""}}):
        with pytest.raises(BadInput, match="a choice is empty"):
            prepare(study(tmp_path, dataclasses.replace(each, **change)))
