from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from engine.errors import BadInput
from engine.scoring.data import read_rows
from engine.study import Objective


def write(path: Path, *lines: Any) -> Path:
    texts = [each if isinstance(each, str) else json.dumps(each) for each in lines]
    path.write_text("\n".join(texts), encoding="utf-8")
    return path


def objective(path: Path, scorer: str = "exact_match", **keys: Any) -> Objective:
    keys.setdefault("report_fraction", 0.0)
    return Objective("facts", scorer, path, **keys)


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def test_the_three_kinds_of_rows(tmp_path: Path) -> None:
    path = write(
        tmp_path / "d.jsonl",
        {"prompt": "a", "target": "x"},
        {"prompt": "a", "targets": ["y", "z"], "note": 3},
        {"messages": [user("hi"), assistant("ho")]},
        {"messages": [{"role": "system", "content": "s"}, user("hi")], "target": "he"},
    )
    first, second, third, fourth = read_rows(objective(path), "explore")
    assert (first.prompt, first.targets, first.line, first.index) == ("a", ("x",), 1, 0)
    assert second.targets == ("y", "z") and first.key == second.key
    assert third.messages == (user("hi"),) and third.targets == ("ho",) and third.prompt is None
    assert fourth.targets == ("he",) and len(fourth.messages or ()) == 2
    hash(fourth)


def test_choices_by_index_and_by_text(tmp_path: Path) -> None:
    path = write(
        tmp_path / "d.jsonl",
        {"prompt": "a", "choices": ["x", "y"], "answer": 1},
        {"prompt": "b", "choices": ["x", "y"], "answer": "x"},
        {"prompt": "c", "choices": ["1", "0"], "answer": "0"},
        {"messages": [user("d")], "choices": ["x", "y"], "answer": 0},
    )
    rows = read_rows(objective(path, "choice"), "explore")
    assert [row.answer for row in rows] == [1, 0, 1, 0]
    assert rows[0].choices == ("x", "y")


def test_marks_blank_lines_and_windows_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    line = '{"prompt": "é\u2028", "target": "x"}'
    other = line.replace("x", "y")
    path.write_bytes(b"\xef\xbb\xbf" + f"\r\n{line}\r\n  \n\n{other}".encode())
    rows = read_rows(objective(path), "explore")
    assert [(row.line, row.index) for row in rows] == [(2, 0), (5, 1)]
    assert rows[0].prompt == "é\u2028"


def test_keys_are_hashes_of_the_question(tmp_path: Path) -> None:
    user = {"role": "user", "content": "\tschön und\n\n  gut "}
    messages = [{"role": "system", "content": " kurz"}, user, assistant("ja")]
    path = write(
        tmp_path / "d.jsonl",
        {"prompt": "é\n  è", "target": ""},
        {"messages": messages},
        {"messages": [user, assistant("ja")]},
    )
    canonical = json.dumps(messages, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    wanted = ["é\n  è", canonical, "schön und\n\n  gut"]
    found = [row.key for row in read_rows(objective(path), "explore")]
    assert found == [hashlib.sha256(each.encode()).hexdigest() for each in wanted]


def many(path: Path, n: int = 200) -> list[str]:
    prompts = [f"question {number}" for number in range(n)]
    write(path, *({"prompt": prompt, "target": "x"} for prompt in prompts))
    return prompts


def test_the_split_is_by_hash_and_the_two_halves_are_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    prompts = many(path)
    each = objective(path, report_fraction=0.3)
    report = [row.prompt for row in read_rows(each, "report")]
    explore = [row.prompt for row in read_rows(each, "explore")]
    digest = {prompt: hashlib.sha256(prompt.encode()).hexdigest() for prompt in prompts}
    assert report == [p for p in prompts if int(digest[p][:8], 16) / 2**32 < 0.3]
    assert sorted([*report, *explore]) == sorted(prompts)
    assert 30 < len(report) < 90


def test_a_limit_keeps_the_smallest_hashes_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    prompts = many(path)
    each = objective(path, limit=17)
    kept = [row.prompt for row in read_rows(each, "explore")]
    smallest = sorted(prompts, key=lambda p: hashlib.sha256(p.encode()).hexdigest())[:17]
    assert kept == [prompt for prompt in prompts if prompt in smallest]
    whole = read_rows(objective(path, limit=1000), "explore")
    assert [row.prompt for row in whole] == prompts


def test_a_limit_survives_reordering_and_duplicates(tmp_path: Path) -> None:
    rows = [{"prompt": f"q{number % 6}", "target": str(number)} for number in range(12)]
    path = write(tmp_path / "d.jsonl", *rows)
    kept = read_rows(objective(path, limit=5), "explore")
    path = write(tmp_path / "e.jsonl", *reversed(rows))
    again = read_rows(objective(path, limit=5), "explore")
    assert {row.prompt for row in kept} == {row.prompt for row in again}
    assert len(kept) == len(again) == 5


def test_a_file_for_the_report_leaves_all_of_the_data_to_exploring(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    prompts = many(path, 20)
    other = write(tmp_path / "r.jsonl", {"prompt": "r", "target": "x"})
    each = objective(path, report_data=other, report_fraction=0.5)
    assert [row.prompt for row in read_rows(each, "explore")] == prompts
    assert [row.prompt for row in read_rows(each, "report")] == ["r"]


def test_what_is_written_anew_is_read_anew(tmp_path: Path) -> None:
    path = write(tmp_path / "d.jsonl", {"prompt": "a", "target": "x"})
    read_rows(objective(path), "explore")
    write(path, {"prompt": "b", "target": "x"})
    assert read_rows(objective(path), "explore")[0].prompt == "b"


GOOD = {"prompt": "a", "target": "x", "choices": ["x", "y"], "answer": 0}


@pytest.mark.parametrize(
    ("scorer", "line", "said"),
    [
        ("exact_match", '{"prompt": "a",', "is not JSON"),
        ("exact_match", "[1]", "expected an object"),
        ("exact_match", '"text"', "expected an object"),
        ("exact_match", {"target": "x"}, "needs either prompt or messages (keys: target)"),
        ("exact_match", {}, "needs either prompt or messages"),
        ("exact_match", {"prompt": "a", "messages": [user("a")]}, "needs either prompt or"),
        ("exact_match", {"prompt": "a", "traget": "x"}, "neither target nor targets (keys: prompt"),
        ("exact_match", {"prompt": "a", "target": "x", "targets": ["x"]}, "Keep one of them"),
        ("exact_match", {"prompt": "a", "target": 4}, "target must be a string, got 4"),
        ("exact_match", {"prompt": "a", "target": ["x"]}, "targets for a list"),
        ("exact_match", {"prompt": 4, "target": "x"}, "prompt must be a string, got 4"),
        ("exact_match", {"prompt": None, "target": "x"}, "prompt must be a string"),
        ("exact_match", {"prompt": "a", "targets": []}, "at least 1"),
        ("exact_match", {"prompt": "a", "targets": "x"}, "must be a list"),
        ("exact_match", {"prompt": "a", "targets": ["x", 2]}, "targets[1] must be a string"),
        ("exact_match", {"messages": []}, "must be a list of messages"),
        ("exact_match", {"messages": ["hi"]}, "messages[0] needs a role and a content"),
        ("exact_match", {"messages": [{"role": "user"}]}, "needs a role and a content"),
        (
            "exact_match",
            {"messages": [{"role": "user", "content": [1]}]},
            "content must be a string",
        ),
        ("exact_match", {"messages": [assistant("a")]}, "nothing to answer"),
        ("exact_match", {"messages": [user("a")]}, "neither target nor targets"),
        ("exact_match", {"messages": [user("a"), assistant("b")], "target": "b"}, "Keep one"),
        ("exact_match", r'{"prompt": "\ud800", "target": "x"}', "surrogate"),
        ("contains", {"prompt": "a", "target": ""}, "the target is empty"),
        ("nll", {"prompt": "a", "target": ""}, "the target is empty"),
        ("choice", {"prompt": "a", "target": "x"}, "has no choices and no answer"),
        ("choice", {"prompt": "a", "choices": ["x", "y"]}, "has no answer"),
        ("choice", {**GOOD, "choices": ["x"]}, "at least 2"),
        ("choice", {**GOOD, "choices": ["x", 1]}, "choices[1] must be a string"),
        ("choice", {**GOOD, "answer": 2}, "answer 2 is out of range: there are 2 choices"),
        ("choice", {**GOOD, "answer": -1}, "out of range"),
        ("choice", {**GOOD, "answer": "z"}, "not among the choices"),
        ("choice", {**GOOD, "answer": True}, "not among the choices"),
        ("choice", {**GOOD, "answer": 1.0}, "not among the choices"),
        ("choice", {**GOOD, "answer": None}, "not among the choices"),
    ],
)
def test_what_is_wrong_comes_with_file_and_line(
    tmp_path: Path, scorer: str, line: Any, said: str
) -> None:
    path = write(tmp_path / "d.jsonl", GOOD, "", line, GOOD)
    with pytest.raises(BadInput) as caught:
        read_rows(objective(path, scorer), "explore")
    (problem,) = caught.value.problems
    assert problem.where == f"{path}:3"
    assert said in str(problem)


def test_what_a_scorer_does_not_use_is_not_looked_at(tmp_path: Path) -> None:
    path = write(tmp_path / "d.jsonl", {"prompt": "a", "target": None, "answer": 9})
    assert read_rows(objective(path, "refusal"), "explore")[0].targets == ()
    assert read_rows(objective(path, "kl_to_base"), "explore")[0].answer is None
    spoken = write(tmp_path / "e.jsonl", {"messages": [user("a"), assistant("b")]})
    assert read_rows(objective(spoken, "kl_to_base"), "explore")[0].messages == (user("a"),)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(b'{"prompt": "a", "target": "x"}\n{"prompt": "\xff"}')
    with pytest.raises(BadInput, match=r"d\.jsonl:2: is not UTF-8"):
        read_rows(objective(path), "explore")


@pytest.mark.parametrize("hostile", ["[" * 100_000, "9" * 10_000])
def test_json_that_breaks_readers_is_refused(tmp_path: Path, hostile: str) -> None:
    path = write(tmp_path / "d.jsonl", f'{{"prompt": "a", "target": {hostile}')
    with pytest.raises(BadInput, match="JSON"):
        read_rows(objective(path), "explore")


def test_many_problems_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "d.jsonl", *({"prompt": str(number)} for number in range(50)))
    with pytest.raises(BadInput) as caught:
        read_rows(objective(path), "explore")
    assert len(caught.value.problems) == 21
    assert "30 more lines" in caught.value.problems[-1].what


@pytest.mark.parametrize("content", ["", "\n \n", "\ufeff"])
def test_an_empty_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(BadInput, match="has no rows"):
        read_rows(objective(path), "explore")


def test_a_missing_file_and_a_directory(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no such file"):
        read_rows(objective(tmp_path / "d.jsonl"), "explore")
    with pytest.raises(BadInput, match="cannot be read"):
        read_rows(objective(tmp_path), "explore")


@pytest.mark.parametrize(("fraction", "split"), [(1.0, "explore"), (0.0, "report")])
def test_a_split_without_rows(tmp_path: Path, fraction: float, split: Any) -> None:
    path = write(tmp_path / "d.jsonl", {"prompt": "a", "target": "x"})
    with pytest.raises(BadInput, match=f"none of its 1 rows are in the {split} split"):
        read_rows(objective(path, report_fraction=fraction), split)


def test_cost_has_no_rows() -> None:
    assert read_rows(Objective("price", "cost"), "explore") == ()
