"""Formats of data files: what each gives, where its errors are, and what is refused by name."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest

from engine import apart
from engine.errors import BadInput
from engine.scoring import data_formats
from engine.scoring.data import look, read_rows
from engine.scoring.data_cells import MAX_ROWS
from engine.study import Objective
from engine.study_data import DataOptions
from tests.engine.scoring.published import FORMATS, GSM8K, TABLES, parquet, table, write

SCORERS = ("refusal", "exact_match", "perplexity", "choice")


def objective(path: Path, scorer: str = "exact_match", **keys: Any) -> Objective:
    return Objective("facts", scorer, path, report_fraction=0.0, **keys)


def put(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def problems(path: Path, scorer: str = "exact_match", **keys: Any) -> list[Any]:
    with pytest.raises(BadInput) as caught:
        read_rows(objective(path, scorer, **keys), "explore")
    return list(caught.value.problems)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("suffix", FORMATS)
def test_the_own_form_in_every_format(tmp_path: Path, suffix: str, zipped: bool) -> None:
    records = [{"prompt": "a\nb, \"c\"\t'd'", "target": "é"}, {"prompt": "e", "target": "f"}]
    path = write(tmp_path, suffix, records, zipped)
    rows = read_rows(objective(path), "explore")
    assert [(row.prompt, row.targets) for row in rows] == [
        (records[0]["prompt"], ("é",)), ("e", ("f",)),
    ]  # fmt: skip
    seen = look(path, objective(path))
    assert seen.columns == ("prompt", "target") and seen.count == 2
    assert seen.form.endswith(", gzipped") == zipped
    renamed = path.rename(tmp_path / "data.bin")  # content tells, whatever the name
    if suffix not in TABLES or suffix == ".csv":
        assert read_rows(objective(renamed), "explore") == rows


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    texts = {
        "a.csv": 'prompt,target\r\n"two\r\nlines",x\r\n\r\nno,\r\n',
        "a.tsv": 'prompt\ttarget\n"two\nlines"\tx\n\nno\t\n',
        "a.json": '[\n {"prompt": "two",\n "target": "x"},\n\n {"prompt": "no", "target": ""}\n]',
        "b.json": '{"prompt": "two",\n\n"target": "x"}\n\n{"prompt": "no",\n"target": ""}',
        "a.jsonl": '{"prompt": "two", "target": "x"}\n\n\n\n{"prompt": "no", "target": ""}',
    }
    for name, text in texts.items():
        path = put(tmp_path, name, text)
        rows = read_rows(objective(path), "explore")
        assert rows[0].line in (1, 2), name
        [found] = problems(path, "contains")
        assert found.where == f"{path}:5" and "the target is empty" in found.what, name
        form = {"a.csv": "CSV", "a.tsv": "TSV", "a.json": "a JSON list"}.get(name)
        assert form is None or f"The file was read as {form}." in found.fix


def test_a_row_of_parquet_is_named_by_its_number(tmp_path: Path) -> None:
    path = put(tmp_path, "a.parquet", parquet([{"prompt": "a", "target": "x"},
                                               {"prompt": "b", "target": ""}]))  # fmt: skip
    [found] = problems(path, "contains")
    assert found.where == f"{path}: row 2"


def test_one_message_for_a_file_whose_columns_are_not_certain(tmp_path: Path) -> None:
    rows = [{"question": "a", "query": "b", "answer": str(number)} for number in range(40)]
    for suffix in FORMATS:
        path = write(tmp_path, suffix, rows)
        [found] = problems(path)
        assert found.where == str(path) and "columns question, query, answer" in found.what
        assert "columns: {prompt: question, target: answer}" in found.fix
        assert "columns: {prompt: query, target: answer}" in found.fix


def test_what_a_csv_can_hold(tmp_path: Path) -> None:
    semicolons = put(tmp_path, "a.csv", "prompt;target\na, b;c\n")
    assert read_rows(objective(semicolons), "explore")[0].prompt == "a, b"
    assert look(semicolons, objective(semicolons)).form == "CSV with semicolons"
    quotes = put(tmp_path, "b.tsv", 'prompt\ttarget\n"A" or B?\tA\n')
    assert read_rows(objective(quotes), "explore")[0].prompt == '"A" or B?'
    mmlu = put(tmp_path, "c.csv", "One?,0,1,2,3,B\nTwo?,0,1,2,3,C\n")
    rows = read_rows(objective(mmlu, "choice"), "explore")
    assert [(row.line, row.prompt, row.answer) for row in rows] == [(1, "One?", 1), (2, "Two?", 2)]
    python = put(tmp_path, "d.csv", 'question,choices,answer\nOne?,"[a, b]",1\n')
    assert "not a list" in problems(python, "choice")[0].what
    python = put(tmp_path, "d.csv", 'question,choices,answer\nOne?,"[\'a\', ""it\'s""]",1\n')
    assert read_rows(objective(python, "choice"), "explore")[0].choices == ("a", "it's")
    numpy = put(tmp_path, "e.csv", "question,choices,answer\nOne?,['a' 'b'],1\n")
    assert "printed by NumPy" in problems(numpy, "choice")[0].what


@pytest.mark.parametrize(
    ("name", "content", "where", "said"),
    [
        ("a.csv", "prompt,target\na,b,c\n", ":2", "has 3 cells, but the first line names 2"),
        ("a.csv", 'prompt,target\n"a"b,c\n', ":2", "a row cannot be read"),
        ("a.csv", 'prompt,target\na,b\n"c,d\n', ":3", "a row cannot be read"),
        ("a.csv", "prompt,prompt\na,b\n", ":1", "two columns are called 'prompt'"),
        ("a.csv", b"prompt,target\na,\xff\n", ":2", "is not UTF-8 (byte 3)"),
        ("a.json", '[{"prompt": "a"}\n {"prompt": "b"}]', ":2", "a JSON list: expected ','"),
        ("a.json", '[{"prompt": "a"},\n', ":2", "ends before its ']'"),
        ("a.json", '[{"prompt": "a", "target": "b"}]\n[]', ":2", "continues after its ']'"),
        ("a.json", '{"prompt": "a",\n "target": }', ":2", "over several lines, but is not JSON"),
        ("a.json", '["a", "b"]', ":1", "expected an object, got 'a'"),
        (
            "a.jsonl",
            "prompt,target\na,b\n",
            ":1",
            "named like JSON, but its first line is not JSON",
        ),
        ("a.txt", "a prompt\nanother\n", "", "not JSON Lines, JSON, CSV, TSV or Parquet"),
        ("a.jsonl", b"\x80\x04\x95abc", "", "a pickle, which is never loaded"),
        ("a.xlsx", b"PK\x03\x04abc", "", "a zip archive"),
        ("a.jsonl.zst", b"\x28\xb5\x2f\xfdabc", "", "compressed with zstd"),
        ("a.jsonl", '{"prompt": "a"}'.encode("utf-16"), "", "text in UTF-16"),
        ("a.jsonl", "<!DOCTYPE html><p>", "", "a web page"),
        ("a.jsonl", "version https://git-lfs.github.com/spec/v1\n", "", "a Git LFS pointer"),
        ("a.parquet", "prompt\n", "", "named like Parquet, but is not"),
        ("a.parquet", b"PAR1abcPAR1", "", "it is Parquet, but cannot be read"),
        ("a.jsonl.gz", gzip.compress(b"x" * 999, mtime=0)[:-9], "", "it is gzipped, but damaged"),
    ],
)
def test_what_is_wrong_is_said_once_with_its_place(
    tmp_path: Path, name: str, content: str | bytes, where: str, said: str
) -> None:
    path = put(tmp_path, name, content)
    found = problems(path)
    assert said in found[0].what and found[0].where == f"{path}{where}"
    assert len(found) == 1 or name == "a.json"


def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = json.dumps({"prompt": "a" * 5000, "target": "x"}).encode()
    zipped = put(tmp_path, "a.jsonl.gz", gzip.compress(content))
    plain = put(tmp_path, "a.jsonl", content)
    rows = put(tmp_path, "a.parquet", parquet([{"prompt": "a" * 5000, "target": "x"}]))
    monkeypatch.setattr(data_formats, "MAX_BYTES", 4000)
    assert "gzipped, but contains more than" in problems(zipped)[0].what
    assert "is the limit" in problems(plain)[0].what
    assert "is the limit" in problems(rows)[0].what or "with more" in problems(rows)[0].what
    assert MAX_ROWS >= 1_000_000


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    import os

    path = tmp_path / "pipe.jsonl"
    os.mkfifo(path)
    assert "not a regular file" in problems(path)[0].what


def test_the_list_in_one_object(tmp_path: Path) -> None:
    path = put(tmp_path, "bbh.json", json.dumps(
        {"canary": "x", "examples": [{"input": "a", "target": "b"}]}, indent=1))  # fmt: skip
    [row] = read_rows(objective(path), "explore")
    assert (row.prompt, row.targets) == ("a", ("b",))
    assert look(path, objective(path)).form == "a JSON object with the list 'examples'"


@pytest.mark.parametrize("suffix", FORMATS)
def test_nonsense_is_bad_input_and_nothing_else(tmp_path: Path, suffix: str) -> None:
    chance = random.Random(suffix)
    sound, read = FORMATS[suffix](GSM8K), 0
    for number in range(60):
        content = bytearray(sound)
        for _ in range(chance.choice((1, 3, 20))):
            place = chance.randrange(len(content))
            content[place : place + chance.randrange(3)] = chance.randbytes(chance.randrange(4))
        if number % 5 == 0:
            content = content[: chance.randrange(len(content))]
        path = put(tmp_path, f"x{suffix}", bytes(content))
        for scorer in SCORERS:
            try:
                read += bool(read_rows(objective(path, scorer), "explore"))
            except BadInput as error:
                assert all(each.where and each.what for each in error.problems)
    assert 0 < read < 60 * len(SCORERS)  # some were nonsense, some still sound


VALUES: list[Any] = [None, True, 3, 2.5, "", "a", "B", "[", [], ["a"], ["a", "b"], [None], {}, [[]],
                     {"text": ["a", "b"], "label": ["A"]}, {"text": "a"}, [{"role": "user"}],
                     [{"from": "human", "value": "x"}], [{"text": 1, "label": 2}]]  # fmt: skip


@pytest.mark.parametrize("scorer", SCORERS)
def test_any_values_under_known_names_are_bad_input_at_most(tmp_path: Path, scorer: str) -> None:
    from tests.engine.scoring.published import CASES

    chance = random.Random(scorer)
    for case in CASES:
        for _ in range(3):
            record = dict(case.records[0])
            for name in chance.sample(sorted(record), chance.randrange(1, len(record) + 1)):
                record[name] = chance.choice(VALUES)
            for content in (json.dumps(record).encode(), table([record], ",")):
                path = put(tmp_path, "x.dat", content)
                try:
                    rows = read_rows(objective(path, scorer), "explore")
                    assert len(rows) == 1 and look(path, objective(path, scorer)).sentence()
                except BadInput as error:
                    assert all(each.where and each.what for each in error.problems)


def test_a_pattern_of_targets_that_takes_too_long_is_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apart, "SECONDS", 0.2)
    rows = [{"question": "q", "a": "a" * 60 + "b"}] * 3 + [{"question": "q", "a": "b"}]
    reading = DataOptions({"prompt": "question", "target": "a"}, target_pattern="(a+)+$")
    [problem] = problems(write(tmp_path, ".jsonl", rows), reading=reading)
    assert "target_pattern '(a+)+$' was stopped: it took too long" in problem.what
