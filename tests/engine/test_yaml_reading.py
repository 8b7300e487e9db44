"""YAML by the 1.2 core schema, within limits; what every version reads alike is what is written."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import BadInput
from engine.export.mergefile import read_mergefile
from engine.study import load_study
from engine.yaml_reading import MAX_NODES, parse, read_yaml
from engine.yaml_writing import dumped

CORE: list[tuple[str, Any]] = [
    ("010", 10), ("-017", -17), ("0o17", 15), ("0x1F", 31), ("+5", 5), ("1e3", 1000.0),
    ("-1.5E-2", -0.015), (".5", 0.5), ("5.", 5.0), (".inf", math.inf), ("-.INF", -math.inf),
    ("1_000", "1_000"), ("1:30", "1:30"), ("1:30.5", "1:30.5"), ("0b11", "0b11"),
    ("2024-01-01", "2024-01-01"), ("2024-99-99", "2024-99-99"), ("yes", "yes"), ("no", "no"),
    ("On", "On"), ("OFF", "OFF"), ("y", "y"), ("true", True), ("False", False), ("~", None),
    ("null", None), ("nULL", "nULL"), ("'010'", "010"), ('"true"', "true"), ("=", "="),
    ("!!str 010", "010"), ("", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), CORE)
def test_a_value_by_the_core_schema(text: str, value: Any) -> None:
    found = parse(f"a: {text}\n", "x").data["a"]
    assert found == value and type(found) is type(value)


def test_nan_is_one() -> None:
    assert math.isnan(parse("a: .NaN", "x").data["a"])


def test_keys_are_the_texts_that_stand_there() -> None:
    text = "{no: 1, off: 2, 010: 3, 10: 4, 1.0: 5, 1: 6, true: 7, null: 8, 2024-01-01: 9}"
    assert parse(text, "x").data == {
        "no": 1, "off": 2, "010": 3, "10": 4, "1.0": 5, "1": 6, "true": 7, "null": 8,
        "2024-01-01": 9,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("a: 1\nb: !!int 5\n", 2, "the tag '!!int' is not supported"),
        ("a: !!float abc\n", 1, "!!float"),
        ("a: !!timestamp x\n", 1, "!!timestamp"),
        ("a: !!binary aGk=\n", 1, "!!binary"),
        ("a: !!set {x}\n", 1, "!!set"),
        ("a: !!python/name:os.system x\n", 1, "!!python/name:os.system"),
        ("a: !mine {b: 1}\n", 1, "!mine"),
        ("a: !!map x\n", 1, "!!map"),
        ("a: 1\na: 2\n", 2, "'a' appears twice"),
        ("1: 1\n'1': 2\n", 2, "'1' appears twice"),
        ("a: &a [1, *a]\n", 1, "holds itself"),
        ("a: &a {b: *a}\n", 1, "holds itself"),
        ("? [1]\n: 2\n", 1, "a key must be a string"),
        ("a: &a [1]\n*a : 2\n", 2, "a key must be a string"),
        ("a: 1" + "0" * 5000, 1, "a number of 5,001 digits"),
        ("a: 1\nb: x\u2028y\n", 2, r"\u2028"),
        ("[" * 500, 1, "nested more than 100 levels deep"),
        ("- " * 500, 1, "nested more than 100 levels deep"),
        ("<<: 5\n", 1, "merging"),
    ],
)
def test_what_is_refused_in_words(text: str, line: int, what: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse(text, "file")
    assert str(caught.value).startswith(f"file:{line}: not valid YAML (") or what == r"\u2028"
    assert what in str(caught.value)


def test_several_documents() -> None:
    with pytest.raises(BadInput) as caught:
        parse("---\na: 1\n...\n---\nb: [\n", "file")
    (only,) = caught.value.problems
    assert only.where == "file:4" and "another document begins here (---)" in only.what
    assert only.fix == "Put each document into a file of its own."
    assert parse("---\na: 1\n...\n", "file").data == {"a": 1}
    assert parse("# nothing\n", "file").data is None


def test_aliases_make_no_more_than_the_limit() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for each in range(1, 12):
        lines.append(f"a{each}: &a{each} [{', '.join([f'*a{each - 1}'] * 10)}]")
    with pytest.raises(BadInput, match=f"more than {MAX_NODES:,} values"):
        parse("\n".join(lines), "file")
    shared = "\n".join(["d: &d {scorer: cost, limit: 3}", *(f"o{n}: *d" for n in range(500))])
    assert len(parse(shared, "file").data) == 501


def test_merge_keys_as_ever() -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b\n  <<: *a\n  y: 3\nc: {<<: [*b, {z: 4}], x: 5}\nd: {<<: *b}"
    found = parse(text, "file").data
    assert found["b"] == {"x": 1, "y": 3} == found["d"]
    assert found["c"] == {"x": 5, "y": 3, "z": 4}


def test_a_study_is_a_small_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "big.yaml").write_text("# " + "x" * 1_000_000, encoding="utf-8")
    for place, what in (
        (tmp_path / "pipe.yaml", "a named pipe"),
        (Path("/dev/zero"), "a device"),
        (tmp_path / "big.yaml", "1,000,000 is the limit"),
    ):
        with pytest.raises(BadInput, match=what):
            load_study(place)
        with pytest.raises(BadInput, match=what):
            read_mergefile(place)


def test_experts_named_no_and_off_stay_two(tmp_path: Path) -> None:
    place = tmp_path / "study.yaml"
    place.write_text(
        "family: {base: b, experts: {no: x, off: y, 010: z, 10: w}}\n"
        "objectives: [{name: size, scorer: cost, limit: 010}]\n"
        "ranges: {task_arithmetic: {no: [0, 1e0]}}\n"
    )
    study = load_study(place)
    assert study.family.names.experts == ("no", "off", "010", "10")
    assert study.objectives[0].limit == 10
    place.write_text(
        "family: {base: b, experts: {a: x}}\n"
        "objectives: [{name: f, data: d, scorer: nll, chat: yes, temperature: .inf, limit: 1:30}]\n"
    )
    with pytest.raises(BadInput) as caught:
        load_study(place)
    said = str(caught.value)
    for words in ("chat is 'yes'. Write true", "inf is not a number", "'1:30' is not a whole"):
        assert words in said


def test_mergekit_yaml_that_mergekit_reads_otherwise_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "merge.yaml"
    place.write_text(
        "merge_method: linear\nmodels:\n"
        "  - {model: a, parameters: {weight: 010}}\n  - {model: b, parameters: {weight: 1:30}}\n"
        "parameters: {normalize: yes}\n"
    )
    with pytest.raises(BadInput) as caught:
        read_mergefile(place)
    assert [each.where for each in caught.value.problems] == [f"{place}:{n}" for n in (3, 4, 5)]
    assert "'010'" in str(caught.value) and "'1:30'" in str(caught.value)


TEXTS = [text.strip("'\"") for text, _ in CORE] + [
    "1e-3", "12e03", "<<", "a: b", "# c", " x", "x ", "line\nline", "\u2028", "\x85", "\ud800",
    "\x1b[2J", "- x", "*a", "&a", "!b", "%c", "@d", "`e", "{f", "é", "𝄞", "0o7", "Y", "n", "-",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_a_written_text_is_read_alike_by_every_version(text: str) -> None:
    data = {"a": text, "list": [text], "inner": {text: 1} if text else {}}
    for written in (dumped(data), dumped(data, flow=True)):
        assert parse(written, "x").data == data
        assert parse(written, "x").doubtful == ()
        assert yaml.safe_load(written) == data


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(max_size=12)
    | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=150, deadline=None, database=None, derandomize=True)
@given(VALUES)
def test_what_is_written_is_read_again(data: Any) -> None:
    for written in (dumped(data), dumped(data, flow=True)):
        assert parse(written, "x").data == data
        assert yaml.safe_load(written) == data


def test_the_file_of_a_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="a directory, not a regular file"):
        read_yaml(tmp_path)
