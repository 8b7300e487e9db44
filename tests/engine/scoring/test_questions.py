"""One question is one question, in whatever form and however often a file holds it."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.errors import BadInput
from engine.scoring.data import look, placed_otherwise, read_rows
from engine.scoring.objectives import (
    copies_notes,
    data_notes,
    objective_fingerprint,
    prepare,
)
from engine.scoring.registry import check_objective
from engine.study import Objective, load_study

QUESTIONS = [f"What is {n} times\u00a0{n + 1}?" for n in range(200)]


def forms(question: str) -> list[dict[str, Any]]:
    """A question in every form that means the same."""
    user = {"role": "user", "content": question}
    return [
        {"prompt": " ".join(question.split()), "target": "a"},
        {"prompt": f"{question} ", "target": "b"},
        {"prompt": f"\n\t{question.replace(' ', '  ')}", "target": "c"},
        {"messages": [user], "target": "d"},
        {"messages": [{"role": "user", "content": f" {question}\r\n"}], "target": "e"},
        {"messages": [user, {"role": "assistant", "content": "f"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": question}]}],
         "target": "g"},
        {"messages": [{"from": "human", "value": question}], "target": "h"},
        {"prompt": question.replace("What", "What\u3000"), "target": "i"},
    ]  # fmt: skip


def objective(data: Path, scorer: str = "exact_match", **settings: Any) -> Objective:
    return check_objective(Objective(name="q", scorer=scorer, data=data, **settings))


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def sides(data: Path, **settings: Any) -> tuple[set[str], set[str]]:
    asked = objective(data, **settings)
    explore, report = (
        {row.key for row in read_rows(asked, split)} for split in ("explore", "report")
    )
    return explore, report


def test_a_question_is_on_one_side_in_any_form(tmp_path: Path) -> None:
    rows = [row for question in QUESTIONS for row in forms(question)]
    random.Random(0).shuffle(rows)
    prompts = [row for row in rows if "prompt" in row]
    messages = [row for row in rows if "messages" in row]
    for own in (prompts, messages):
        explore, report = sides(lines(tmp_path / "d.jsonl", own))
        assert len(explore) + len(report) == len(QUESTIONS) and not explore & report
    both = [sides(lines(tmp_path / f"{i}.jsonl", own)) for i, own in enumerate((prompts, messages))]
    assert both[0] == both[1]


def test_every_format_places_a_question_alike(tmp_path: Path) -> None:
    rows = [{"prompt": f" {q}", "target": "x"} for q in QUESTIONS]
    plain = sides(lines(tmp_path / "d.jsonl", rows))
    with (tmp_path / "d.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, ["prompt", "target"])
        table.writeheader()
        table.writerows(rows)
    (tmp_path / "d.json").write_text(json.dumps(rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "d.parquet")
    with gzip.open(tmp_path / "d.jsonl.gz", "wt", encoding="utf-8") as packed:
        packed.write((tmp_path / "d.jsonl").read_text(encoding="utf-8"))
    for name in ("d.csv", "d.json", "d.parquet", "d.jsonl.gz"):
        assert sides(tmp_path / name) == plain, name


def test_decomposed_letters_are_the_same_letters(tmp_path: Path) -> None:
    rows = [{"prompt": "caf\u00e9", "target": "x"}, {"prompt": "cafe\u0301", "target": "y"}]
    data = lines(tmp_path / "d.jsonl", rows)
    first, second = read_rows(objective(data, report_data=data), "explore")
    assert first.key == second.key and first.exact != second.exact


def test_a_question_in_one_form_is_placed_by_its_text(tmp_path: Path) -> None:
    """Spaces and lines within it are left as they stand, unless the file has it otherwise too."""
    code = "def f(x):\n    return x"
    rows = [{"prompt": f"{code}  ", "target": "x"}, {"prompt": "p", "target": "y"}]
    asked = objective(tmp_path / "d.jsonl", report_data=tmp_path / "d.jsonl")
    lines(tmp_path / "d.jsonl", rows)
    first, _ = read_rows(asked, "explore")
    assert first.key == hashlib.sha256(code.encode()).hexdigest()
    lines(tmp_path / "d.jsonl", [*rows, {"prompt": " ".join(code.split()), "target": "x y"}])
    first, _, last = read_rows(asked, "explore")
    assert first.key == last.key == first.question


def test_copies_count_once_and_are_told(tmp_path: Path) -> None:
    rows = [{"prompt": q, "target": "x"} for q in QUESTIONS[:20]]
    data = lines(
        tmp_path / "d.jsonl", [*rows, *([rows[3]] * 100), {"prompt": QUESTIONS[3], "target": "y"}]
    )
    asked = objective(data, report_fraction=0.3)
    found = [row for split in ("explore", "report") for row in read_rows(asked, split)]
    assert len(found) == 21  # another answer is another row
    assert sorted(row.line for row in found) == [*range(1, 21), 121]
    seen = look(data, asked)
    assert len(seen.copies) == 100 and seen.count == 21 and not seen.plain
    assert "100 rows repeat others (line 21 repeats line 4): each counts once." in seen.sentence()
    [note] = copies_notes([asked])
    assert note.startswith("q: ") and "100 rows repeat others" in note


def test_choices_and_questions_without_answers_are_compared_as_they_are_used(
    tmp_path: Path,
) -> None:
    row = {"prompt": "p", "choices": ["a", "b"], "answer": 0}
    data = lines(
        tmp_path / "c.jsonl", [row, row, {**row, "answer": 1}, {**row, "choices": ["b", "a"]}]
    )
    whole = replace(objective(data, "choice"), report_data=data)
    assert [each.line for each in read_rows(whole, "explore")] == [1, 3, 4]
    asked = replace(objective(data, "refusal"), report_data=data)
    assert [each.line for each in read_rows(asked, "explore")] == [1]


def test_fingerprints_change_only_where_rows_do(tmp_path: Path) -> None:
    plain = [{"prompt": f"question {n}", "target": "x"} for n in range(50)]
    asked = objective(lines(tmp_path / "plain.jsonl", plain))
    assert not placed_otherwise(asked)
    # the value that versions before gave this objective
    same = {"prompt": "question 1", "target": "x"}
    for name, rows, changed in (
        ("copies", [*plain, same], True),
        ("end", [*plain[:-1], {"prompt": "question 49 ", "target": "x"}], None),
        ("message", [{"messages": [{"role": "user", "content": row["prompt"]}], "target": "x"}
                     for row in plain], True),
    ):  # fmt: skip
        other = objective(lines(tmp_path / f"{name}.jsonl", rows))
        if changed is not None:
            assert placed_otherwise(other) == changed
        assert objective_fingerprint(other, "t") != objective_fingerprint(asked, "t")


def test_report_data_that_is_explored_is_refused(tmp_path: Path) -> None:
    explored = [{"prompt": f"question {n}", "target": "x"} for n in range(40)]
    held = [{"prompt": f"other {n}", "target": "x"} for n in range(10)]
    held += [{"messages": [{"role": "user", "content": f" question {n} "}], "target": "y"}
             for n in range(7)]  # fmt: skip
    lines(tmp_path / "d.jsonl", explored)
    for name, rows in (("prompts", held[:10]), ("both", held[10:])):
        lines(tmp_path / f"{name}.jsonl", rows)
    study = tmp_path / "study.yaml"

    def checked(report: str, more: str = "") -> list[str]:
        study.write_text(
            "study: s\nfamily: {base: b, experts: {a: a}}\nobjectives:\n"
            f"  - {{name: q, data: d.jsonl, scorer: exact_match, report_data: {report}{more}}}\n"
        )
        try:
            prepare(load_study(study))
        except BadInput as error:
            return [str(each) for each in error.problems]
        return []

    assert checked("prompts.jsonl") == []
    [problem] = checked("both.jsonl")
    assert "7 questions are also among the explored rows" in problem
    assert "line 1 (line 1)" in problem and "and 2 more" in problem
    assert f"{tmp_path / 'both.jsonl'}" in problem
    [whole] = checked("d.jsonl")
    assert "40 questions" in whole
    # of a limit only the rows that are explored matter
    kept = {
        row.prompt
        for row in read_rows(
            objective(tmp_path / "d.jsonl", limit=3, report_data=tmp_path / "prompts.jsonl"),
            "explore",
        )
    }
    others = [row for row in explored if row["prompt"] not in kept]
    lines(tmp_path / "rest.jsonl", others[:5])
    assert checked("rest.jsonl", ", limit: 3") == []


def test_what_another_objective_explores_is_told(tmp_path: Path) -> None:
    lines(tmp_path / "d.jsonl", [{"prompt": f"question {n}", "target": "x"} for n in range(60)])
    study = tmp_path / "study.yaml"

    def notes(fraction: float) -> list[str]:
        study.write_text(
            "study: s\nfamily: {base: b, experts: {a: a}}\nobjectives:\n"
            "  - {name: one, data: d.jsonl, scorer: exact_match}\n"
            f"  - {{name: two, data: d.jsonl, scorer: nll, report_fraction: {fraction}}}\n"
        )
        return data_notes(load_study(study))

    assert notes(0.3) == []
    [note] = notes(0.6)
    assert note.startswith("two: ") and "held back for its report are explored by one" in note


@pytest.mark.parametrize("prompt", ["", " ", "\n"])
def test_an_empty_question_has_a_place_too(tmp_path: Path, prompt: str) -> None:
    rows = [{"prompt": prompt, "target": "x"}]
    asked = replace(objective(lines(tmp_path / "d.jsonl", rows)), report_data=tmp_path / "d.jsonl")
    assert len(read_rows(asked, "explore")) == 1
