"""What an answer means, what is asked where two meanings are left; mappings and their errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.errors import BadInput
from engine.scoring.data import look, read_rows
from engine.scoring.objectives import objective_fingerprint
from engine.study import Objective, objective_of_document

PAIR = ["red", "blue", "green", "black"]
NUMBERS = ["4", "3", "2", "1"]


def objective(folder: Path, records: Any, scorer: str = "choice", **keys: Any) -> Objective:
    path = folder / "d.jsonl"
    path.write_text("\n".join(json.dumps(each) for each in records), encoding="utf-8")
    document = {"name": "a", "scorer": scorer, "data": str(path), "report_fraction": 0.0, **keys}
    return objective_of_document(document, folder / "study.yaml")


def rows_of(*pairs: tuple[list[str], Any]) -> list[dict[str, Any]]:
    return [{"prompt": "q", "choices": choices, "answer": answer} for choices, answer in pairs]


def answers(each: Objective) -> list[int | None]:
    return [row.answer for row in read_rows(each, "explore")]


def refused(each: Objective) -> str:
    with pytest.raises(BadInput) as caught:
        read_rows(each, "explore")
    return str(caught.value)


@pytest.mark.parametrize(
    ("pairs", "wanted"),
    [
        ([(PAIR, 0), (PAIR, 3)], [0, 3]),
        ([(PAIR, "blue"), (PAIR, " black")], [1, 3]),
        ([(PAIR, "A"), (PAIR, "d")], [0, 3]),
        ([(PAIR, "(B)"), (PAIR, "C.")], [1, 2]),
        ([(["A", "B"], "B")], [1]),  # letter and text, and both say the second
        ([(PAIR, "0"), (PAIR, "2")], [0, 2]),  # a 0: indices
        ([(PAIR, "4"), (PAIR, "2")], [3, 1]),  # as many as there are: counted from 1
        ([(["12", "15"], "15"), (NUMBERS, "2")], [1, 2]),  # the first can be a text only
        ([(["C", "A", "B"], "B"), (PAIR, "D")], [1, 3]),  # the second can be a letter only
    ],
)
def test_one_convention_holds_in_a_file(
    tmp_path: Path, pairs: list[tuple[list[str], Any]], wanted: list[int]
) -> None:
    assert answers(objective(tmp_path, rows_of(*pairs))) == wanted


@pytest.mark.parametrize(
    ("pairs", "lines"),
    [
        ([(NUMBERS, "2")], ["answer_is: text", "answer_is: index", "answer_is: 1-based"]),
        ([(["1", "0"], "0")], ["answer_is: text", "answer_is: index"]),
        ([(PAIR, "2"), (PAIR, "1")], ["answer_is: index", "answer_is: 1-based"]),
        ([(["B", "A", "C"], "A")], ["answer_is: letter", "answer_is: text"]),
    ],
)
def test_two_conventions_are_asked_with_the_lines_that_answer(
    tmp_path: Path, pairs: list[tuple[list[str], Any]], lines: list[str]
) -> None:
    said = refused(objective(tmp_path, rows_of(*pairs)))
    assert "could be" in said and f"{tmp_path}/d.jsonl:1" in said
    assert all(line in said for line in lines) and said.count("tate which") == 1
    for line in lines:
        kind = line.removeprefix("answer_is: ")
        assert len(answers(objective(tmp_path, rows_of(*pairs), answer_is=kind))) == len(pairs)


def test_each_answer_is_what_the_study_says(tmp_path: Path) -> None:
    found = {
        kind: answers(objective(tmp_path, rows_of((NUMBERS, "2")), answer_is=kind))
        for kind in ("text", "index", "1-based")
    }
    assert found == {"text": [2], "index": [2], "1-based": [1]}
    assert answers(objective(tmp_path, rows_of((["B", "A"], "A")), answer_is="letter")) == [0]
    assert "answer_is: letter says" in refused(
        objective(tmp_path, rows_of((PAIR, "blue")), answer_is="letter")
    )


def test_a_number_out_of_range_leads_to_counting_from_1(tmp_path: Path) -> None:
    assert "set answer_is: 1-based" in refused(objective(tmp_path, rows_of((PAIR, 4))))
    assert answers(objective(tmp_path, rows_of((PAIR, 4)), answer_is="1-based")) == [3]


def test_a_number_of_an_unknown_convention_is_asked(tmp_path: Path) -> None:
    names = {"opa": "a", "opb": "b", "opc": "c", "opd": "d", "question": "q"}
    one, two = {**names, "cop": 1}, {**names, "cop": 2}
    assert "could be" in refused(objective(tmp_path, [one, two]))
    assert answers(objective(tmp_path, [one, {**names, "cop": 4}])) == [0, 3]
    assert answers(objective(tmp_path, [one, {**names, "cop": 0}])) == [1, 0]


def test_numbers_of_a_column_that_a_study_names(tmp_path: Path) -> None:
    columns = {"prompt": "q", "choices": "o", "answer": "key"}

    def found(*keys: Any, **more: Any) -> Objective:
        records = [{"q": "q", "o": PAIR, "key": key} for key in keys]
        return objective(tmp_path, records, columns=columns, **more)

    assert answers(found(1, 4)) == [0, 3]  # a 4 of four counts from 1
    assert answers(found(1, 0)) == [1, 0]
    assert "answer_is: index or answer_is: 1-based" in refused(found(1, 2))
    assert answers(found(1, 2, answer_is="1-based")) == [0, 1]
    assert "other rows use another form" in refused(found(0, 4))
    gold = [{"q": "q", "o": PAIR, "gold": 1}]
    named = {**columns, "answer": "gold"}
    assert answers(objective(tmp_path, gold, columns=named)) == [1]


def test_a_mapping_of_a_known_shape_keeps_what_is_known_of_it(tmp_path: Path) -> None:
    columns = {"prompt": "ctx", "choices": "endings", "answer": "label"}
    row = {"ctx": "a", "endings": PAIR, "label": "2"}
    assert answers(objective(tmp_path, [row], columns=columns)) == [2]
    renamed = {"text": "a", "endings": PAIR, "label": "2"}
    columns["prompt"] = "text"
    assert "tate which" in refused(objective(tmp_path, [renamed], columns=columns))


def test_a_label_is_looked_up_and_nothing_else(tmp_path: Path) -> None:
    row = {"question": "q", "choices": {"text": ["x", "y"], "label": ["2", "1"]}, "answerKey": "1"}
    assert answers(objective(tmp_path, [row])) == [1]
    assert answers(objective(tmp_path, [{**row, "answerKey": 2}])) == [0]
    assert "not among the labels" in refused(objective(tmp_path, [{**row, "answerKey": "3"}]))
    assert answers(objective(tmp_path, [{**row, "answerKey": 1}], answer_is="index")) == [1]
    options = {"question": "q", "options": {"A": "B", "B": "A"}, "answer": "A"}
    said = refused(objective(tmp_path, [options]))
    assert "answer_is: label or answer_is: text" in said
    assert answers(objective(tmp_path, [options], answer_is="label")) == [0]


@pytest.mark.parametrize(
    ("row", "scorer", "said", "line"),
    [
        ({"question": "q", "query": "r"}, "refusal", "ambiguous", "columns: {prompt: query}"),
        ({"question": "q", "answer": "a", "solution": "s"}, "nll", "ambiguous",
         "columns: {prompt: question, target: solution}"),
        ({"x": "q", "y": "a"}, "exact_match", "columns x, y", "columns: {prompt: COLUMN"),
        ({"ctx": "a", "endings": ["b", "c"], "label": 0}, "exact_match",
         "HellaSwag, which fits the scorer", "choice"),
        ({"text": "a"}, "exact_match", "WikiText, which fits the scorer nll or perplexity", ""),
        ({"goal": "a", "target": "b"}, "choice", "AdvBench, which fits", ""),
        ({"premise": "a", "hypothesis": "b", "label": 1}, "choice",
         "natural language inference", "the choices in words"),
        ({"message_id": "1", "parent_id": None, "text": "a", "role": "prompter"}, "refusal",
         "single messages of conversations", "rows: {parent_id: null}"),
        ({"translation": {"en": "a", "de": "b"}}, "nll", "without a direction",
         "translation.de"),
        ({"doc": {}, "target": 0, "resps": [], "arguments": [["a", " x"], ["b", " x"]]}, "choice",
         "its requests have different prompts", ""),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]},
         "refusal", "a part of type 'image_url'", ""),
        ({"conversations": [{"from": "narrator", "value": "x"}]}, "refusal",
         "the unknown role 'narrator'", "human"),
        ({"context": "c", "question": "a", "answer": "b"}, "nll", "whether context belongs",
         "columns: {prompt: [context, question], target: answer}"),
        ({"context": "c", "question": "a", "choices": ["x", "y"], "answer": 0}, "choice",
         "whether context belongs", "answer: answer}"),
        ({"system": "Be brief.", "conversations": [{"from": "human", "value": "x"}]}, "refusal",
         "whether system belongs", "columns: {messages: conversations}"),
        ({"question": "a", "choices": ["x", "y"], "answer": 1}, "exact_match",
         "MMLU, which fits the scorer", "choice"),
        ({"prompt": "a", "messages": [{"role": "user", "content": "a"}]}, "refusal",
         "it has both prompt and messages", "columns: {messages: messages}"),
    ],
)  # fmt: skip
def test_what_is_not_certain_is_refused_with_the_lines_that_say_it(
    tmp_path: Path, row: dict[str, Any], scorer: str, said: str, line: str
) -> None:
    found = refused(objective(tmp_path, [row], scorer))
    assert said in found and line in found


def test_the_lines_of_a_refusal_are_accepted(tmp_path: Path) -> None:
    row = {"message_id": "1", "parent_id": None, "text": "Hi", "role": "prompter"}
    reply = {"message_id": "2", "parent_id": "1", "text": "Ho", "role": "assistant"}
    keys = {"columns": {"prompt": "text"}, "rows": {"parent_id": None}}
    [found] = read_rows(objective(tmp_path, [row, reply], "refusal", **keys), "explore")
    assert found.prompt == "Hi"
    pair = {"translation": {"en": "a", "de": "b"}}
    keys = {"columns": {"prompt": "translation.en", "target": "translation.de"}}
    [found] = read_rows(objective(tmp_path, [pair], "nll", **keys), "explore")
    assert (found.prompt, found.targets) == ("a", ("b",))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"columns": {"promt": "q"}}, "prompt"),
        ({"columns": {"prompt": 3}}, "expected a column's name, got 3"),
        ({"columns": {"target": ["a", "b"]}}, "expected a column's name"),
        ({"columns": {"prompt": "q", "messages": "m"}}, "both prompt and messages"),
        ({"columns": {"right": "a"}}, "one of right and wrong is missing"),
        ({"columns": "q"}, "expected a mapping"),
        ({"rows": {"label": {"a": 1}}}, "expected a value"),
        ({"answer_is": "number"}, "way to name the answer"),
        ({"target_pattern": "("}, "is not a regular expression"),
        ({"separator": 3}, "expected a string, got 3"),
        ({"join": 3}, "expected a string, got 3"),
        ({"data": "https://example.org/a.csv"}, "nothing is downloaded"),
        ({"report_data": "hf://datasets/x"}, "nothing is downloaded"),
    ],
)
def test_options_are_checked(tmp_path: Path, keys: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        objective(tmp_path, [], **keys)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"columns": {"prompt": "questoin", "target": "a"}}, "Did you mean question?"),
        ({"columns": {"prompt": "question"}}, "does not name the target"),
        ({"rows": {"lable": "x"}}, "Did you mean label?"),
        ({"rows": {"label": "safe"}, "columns": {"prompt": "question", "target": "a"}},
         "Its values are 'x', 'true'"),
        ({"columns": {"prompt": "question", "target": "a"}, "target_pattern": "z"},
         "does not match the target"),
    ],
)  # fmt: skip
def test_names_that_the_file_lacks_are_told(tmp_path: Path, keys: Any, said: str) -> None:
    rows = [{"question": "q", "a": "y", "label": "x"}, {"question": "r", "a": "y", "label": True}]
    assert said in refused(objective(tmp_path, rows, "exact_match", **keys))


def test_rows_are_chosen_by_what_a_value_means(tmp_path: Path) -> None:
    values = [True, "true", "True", 1, 1.0, "1", None, "x"]
    records = [{"prompt": str(place), "v": value} for place, value in enumerate(values)]
    for wanted, places in ((True, "012"), (1, "345"), (None, "6"), (["x", None], "67")):
        each = objective(tmp_path, records, "refusal", rows={"v": wanted})
        assert "".join(row.prompt or "" for row in read_rows(each, "explore")) == places


def test_settings_of_a_mapping(tmp_path: Path) -> None:
    row = {"a": "one", "b": "two", "t": "x; y ;", "n": 7}
    keys = {"columns": {"prompt": ["a", "b"], "targets": "t"}, "separator": ";", "join": " / "}
    [found] = read_rows(objective(tmp_path, [row], "exact_match", **keys), "explore")
    assert (found.prompt, found.targets) == ("one / two", ("x", "y"))
    keys = {"columns": {"prompt": "a", "target": "n"}}
    each = objective(tmp_path, [row], "exact_match", **keys)
    assert read_rows(each, "explore")[0].targets == ("7",)
    assert (
        look(each.data or Path(), each).sentence() == "JSON Lines, 1 row: prompt = a, target = n."
    )


def test_a_fingerprint_holds_what_the_data_are_read_by(tmp_path: Path) -> None:
    rows = [{"prompt": "q", "question": "q", "target": "t", "answer": "a", "label": "x"}]
    plain = objective(tmp_path, rows, "exact_match")
    found = {
        objective_fingerprint(objective(tmp_path, rows, "exact_match", **keys), "t")
        for keys in (
            {},
            {"columns": {"prompt": "question", "target": "target"}},
            {"columns": {"prompt": "question", "target": "answer"}},
            {"rows": {"label": "x"}},
            {"target_pattern": "t"},
        )
    }
    assert len(found) >= 4 and objective_fingerprint(plain, "t") in found


def test_texts_without_a_prompt_are_placed_by_themselves(tmp_path: Path) -> None:
    rows = [{"text": f"text {number}"} for number in range(100)]
    each = objective(tmp_path, rows, "perplexity")
    keys = [row.key for row in read_rows(each, "explore")]
    assert len(set(keys)) == 100
    assert 10 < sum(row.held_back(0.3) for row in read_rows(each, "explore")) < 60
