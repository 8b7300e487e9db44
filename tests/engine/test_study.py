"""Study files: every key with its default, and every problem at once with the key it is about."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

import engine
from engine.errors import BadInput
from engine.method import METHODS
from engine.study import load_study
from engine.study_file import model_of, name_problem, place_of

assert engine.merging and engine.decoding

GOOD: Mapping[str, Any] = {
    "study": "trio",
    "family": {
        "base": "models/base",
        "experts": {"helpful": "models/helpful", "honest": "/elsewhere/honest"},
        "tokenizer": "helpful",
    },
    "objectives": [
        {"name": "facts", "data": "data/facts.jsonl", "scorer": "exact_match", "ignore_case": True},
        {"name": "size", "scorer": "cost", "direction": "minimize"},
    ],
    "ranges": {"task_arithmetic": {"helpful": [0, 2]}},
}


def write(folder: Path, document: object) -> Path:
    place = folder / "study.yaml"
    place.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return place


def refusal(folder: Path, document: object) -> BadInput:
    with pytest.raises(BadInput) as caught:
        load_study(write(folder, document))
    for each in caught.value.problems:
        assert each.where.startswith(str(folder / "study.yaml")) and each.what and each.fix, each
    return caught.value


def changed(*path: str | int, value: Any) -> dict[str, Any]:
    """GOOD with one key set."""
    document: Any = yaml.safe_load(yaml.safe_dump(dict(GOOD)))
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return dict(document)


def test_a_study_is_read(tmp_path: Path) -> None:
    place = write(tmp_path, GOOD)
    study = load_study(place)
    assert study.name == "trio" and study.path == place.resolve()
    family = study.family
    assert family.base == tmp_path / "models/base"
    assert dict(family.experts) == {
        "helpful": tmp_path / "models/helpful",
        "honest": Path("/elsewhere/honest"),
    }
    assert (family.target, family.tokenizer) == (None, "helpful")
    assert family.names.models == ("base", "helpful", "honest")
    facts, size = study.objectives
    assert facts.data == tmp_path / "data/facts.jsonl" and facts.options == {"ignore_case": True}
    assert (facts.direction, facts.chat, facts.max_new_tokens, facts.stop) == (None, False, 64, ())
    assert (facts.limit, facts.report_fraction, facts.report_data) == (None, 0.3, None)
    assert (facts.temperature, facts.top_p, facts.top_k, facts.seed) == (0.0, 1.0, 0, 0)
    assert (size.data, size.direction) == (None, "minimize")


def test_every_key_of_an_objective(tmp_path: Path) -> None:
    row = {
        "name": "a", "data": "a.jsonl", "scorer": "contains", "direction": "maximize",
        "chat": True, "max_new_tokens": 24, "stop": "\n\n", "limit": 300, "report_fraction": 0,
        "report_data": "b.jsonl", "temperature": 0.5, "top_p": 0.9, "top_k": 5, "seed": 7,
        "template_kwargs": {"tools": ["a", {"b": None}]}, "answer_after": "</think>",
    }  # fmt: skip
    (found,) = load_study(write(tmp_path, changed("objectives", value=[row]))).objectives
    assert found.chat and found.stop == ("\n\n",) and found.limit == 300
    assert found.report_data == tmp_path / "b.jsonl" and found.report_fraction == 0.0
    assert (found.temperature, found.top_p, found.top_k, found.seed) == (0.5, 0.9, 5, 7)
    assert found.template_kwargs == {"tools": ("a", {"b": None})} and hash(found.template_kwargs)
    assert found.answer_after == "</think>"
    assert found.options == {}


def test_a_directory_is_its_study(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    assert load_study(str(tmp_path)).name == "trio"


def test_ranges(tmp_path: Path) -> None:
    study = load_study(write(tmp_path, GOOD))
    arithmetic, pcb = METHODS["task_arithmetic"], METHODS["pcb"]
    assert study.slider_range(arithmetic, "helpful") == (0.0, 2.0)
    assert study.slider_range(arithmetic, "honest") == arithmetic.default_range == (0.0, 1.5)
    assert study.slider_range(pcb, "helpful") == pcb.default_range


def test_objectives_by_name(tmp_path: Path) -> None:
    study = load_study(write(tmp_path, GOOD))
    assert [each.name for each in study.select(["size", "facts"])] == ["size", "facts"]
    assert study.select(None) == study.objectives == study.select([])
    with pytest.raises(BadInput, match="Did you mean facts"):
        study.select(["fact"])


def test_models_by_name(tmp_path: Path) -> None:
    family = load_study(write(tmp_path, changed("family", "target", value="large"))).family
    assert family.path_of("base") == tmp_path / "models/base"
    assert family.path_of("target") == tmp_path / "large"
    with pytest.raises(BadInput, match="Did you mean helpful"):
        family.path_of("helpfull")


def test_every_problem_at_once(tmp_path: Path) -> None:
    document = {
        "study": "two, words",
        "fmaily": {},
        "family": {
            "experts": {"base": "x", "not,this": "y", "good": 3},
            "tokenizer": "god",
            "tokeniser": "base",
        },
        "objectives": [
            {"name": "a", "data": "a.jsonl"},
            {"name": "b", "scorer": "nll", "direction": "up", "stop": [1], "chat": "maybe"},
            {
                "name": "b",
                "scorer": "nll",
                "limit": 0,
                "report_fraction": 1.5,
                "top_k": 0.5,
                "max_new_tokens": 1e400,
            },
            "c",
        ],
        "ranges": {
            "pbc": {},
            "pcb": {"goood": [0, 1], "good": [1, 0]},
            "linear": {"base": 3},
            "single": {"good": [0, 1]},
        },
    }
    said = "\n".join(map(str, refusal(tmp_path, document).problems))
    lines = said.splitlines()
    for words in (
        ("fmaily", "mean family"),
        ("max_new_tokens", "inf is not a whole number from 1 to 1048576"),
        ("two, words",),
        ("family: ", "'base' is missing"),
        ("family: ", "tokeniser", "mean tokenizer"),
        ("family.experts", "'base' cannot name"),
        ("family.experts", "'not,this' cannot name"),
        ("family.experts.good", "3"),
        ("family.tokenizer", "'god'", "mean good"),
        ("objectives[0]", "'scorer' is missing"),
        ("objective b: ", "direction", "'up'"),
        ("objective b: ", "stop", "[1]"),
        ("objective b: ", "chat", "'maybe'"),
        ("objective b.limit", "0"),
        ("objective b.report_fraction", "1.5"),
        ("objective b.top_k", "0.5", "whole"),
        ("objective b: ", "two objectives"),
        ("objectives[3]", "expected a mapping, got a text"),
        ("ranges", "'pbc'", "mean pcb"),
        ("ranges.pcb.goood", "mean good"),
        ("ranges.pcb.good", "low 1 is not below high 0"),
        ("ranges.linear.base", "[low, high]"),
        ("ranges.single.good", "Known: none"),
    ):
        assert any(all(word in line for word in words) for line in lines), (words, said)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (None, ("not a study", "got nothing")),
        (["a"], ("not a study", "a list")),
        ("text", ("not a study", "a text")),
        ({"study": "a"}, ("'family' is missing",)),
        (changed("study", value=3), ("cannot name a study",)),
        (changed("family", value=None), ("family", "got nothing")),
        (changed("family", "experts", value={}), ("no expert is listed",)),
        (changed("family", "experts", value=["a"]), ("family.experts", "list")),
        (changed("family", "base", value=7), ("family.base", "7")),
        (changed("family", "base", value=""), ("family.base", "''")),
        (changed("family", "base", value="a\0b"), ("family.base", "not a path")),
        (changed("family", "base", value="a" * 5000), ("family.base", "File name too long")),
        (changed("family", "base", value="~no-such-user/x"), ("family.base", "not a path")),
        (changed("family", "tokenizer", value=["base"]), ("family.tokenizer",)),
        (changed("family", "tokenizer", value="target"), ("family.tokenizer", "helpful")),
        (changed("objectives", value=[]), ("no objective",)),
        (changed("objectives", value={"name": "a"}), ("no objective",)),
        (changed("objectives", 0, "name", value="a/b"), ("'a/b'",)),
        (changed("objectives", 0, "data", value=["x"]), ("['x']",)),
        (changed("objectives", 0, "max_new_tokens", value=True), ("max_new_tokens", "True")),
        (changed("objectives", 0, "seed", value=10**400), ("seed",)),
        (changed("objectives", 0, "temperature", value=float("nan")), ("temperature", "nan")),
        (changed("objectives", 0, "stop", value=""), ("stop",)),
        (changed("objectives", 0, "answer_after", value=" "), ("answer_after", "' '")),
        (changed("objectives", 0, "answer_after", value=["x"]), ("answer_after", "['x']")),
        (changed("objectives", 0, "template_kwargs", value="x"), ("template_kwargs", "'x'")),
        (changed("objectives", 0, "template_kwargs", value={"messages": []}), ("'messages'",)),
        (
            changed("objectives", 0, "template_kwargs", value={"x": float("inf")}),
            ("template_kwargs", "a template cannot read"),
        ),
        (changed("ranges", value=[1]), ("ranges", "list")),
        (changed("ranges", "task_arithmetic", value=[0, 1]), ("ranges.task_arithmetic", "list")),
        (changed("ranges", "pcb", value={"honest": [0, "x"]}), ("ranges.pcb.honest", "'x'")),
    ],
)  # fmt: skip
def test_is_refused(tmp_path: Path, document: object, words: tuple[str, ...]) -> None:
    said = str(refusal(tmp_path, document))
    for word in words:
        assert word in said


def test_an_expert_named_twice_is_not_lost(tmp_path: Path) -> None:
    place = tmp_path / "study.yaml"
    place.write_text("family:\n  base: b\n  experts:\n    a: x\n    a: y\n")
    with pytest.raises(BadInput, match=r"study\.yaml:5: .*'a' appears twice"):
        load_study(place)


def test_what_looks_like_a_hub_id_and_is_none(tmp_path: Path) -> None:
    for name in ("../gone", "a--b/c", ".x/y"):
        assert model_of(name, tmp_path, "here") == place_of(name, tmp_path, "here")


def test_no_such_file(tmp_path: Path) -> None:
    for place in (tmp_path / "gone.yaml", tmp_path):
        with pytest.raises(BadInput, match="no such file"):
            load_study(place)


def test_a_hub_id_is_looked_up_in_the_local_cache_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    snapshot = tmp_path / "models--acme--tiny/snapshots/abc"
    asked: list[tuple[str, str]] = []

    def cached(repo: str, name: str) -> str | None:
        asked.append((repo, name))
        return str(snapshot / name) if (repo, name) == ("acme/tiny", "config.json") else None

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", cached)
    document = changed("family", "experts", value={"a": "acme/none", "b": "here/model"})
    document["family"] |= {"base": "acme/tiny", "tokenizer": "base"}
    document["ranges"] = {}
    (tmp_path / "here/model").mkdir(parents=True)
    family = load_study(write(tmp_path, document)).family
    assert family.base == snapshot
    assert dict(family.experts) == {"a": tmp_path / "acme/none", "b": tmp_path / "here/model"}
    assert ("here/model", "config.json") not in asked


@pytest.mark.parametrize("name", ["~no-such-user/x", "x" * 5000, "a\0b", "/dev/zero"])
def test_what_cannot_be_a_study_is_one_message(name: str) -> None:
    with pytest.raises(BadInput) as caught:
        load_study(name)
    assert len(str(caught.value)) < 400 and len(caught.value.problems) == 1


@pytest.mark.parametrize("name", ["a b", "Größe 2", "two words x", "v1.0-rc_2", "नमस्ते", "a"])
def test_a_name_may_have_spaces_and_letters_of_any_script(tmp_path: Path, name: str) -> None:
    document = {
        "study": name,
        "family": {"base": "b", "experts": {name: "e"}, "tokenizer": name},
        "objectives": [{"name": name, "scorer": "cost"}],
        "ranges": {"pcb": {name: [0, 2]}},
    }
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    found = load_study(path)
    assert found.name == name and list(found.family.experts) == [name]
    assert found.objectives[0].name == name and found.ranges["pcb"][name] == (0, 2)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("a,b", "',' is reserved"), ("a=b", "'=' is reserved"), ("a@1", "'@' is reserved"),
        ("a:b", "':' is reserved"), ("a(b)", "'(' is reserved"), ("a\tb", "'\\t' is reserved"),
        ("a/b", "'/' is"), ("a\u202eb", "is reserved"), (" a", "would be invisible"),
        ("a  b", "would be invisible"), ("-a", "it begins with '-'"), (".", "it begins with '.'"),
        ("", "it is empty"), ("x" * 81, "longer than 80"), (3, "it is not a string"),
        ("base", "it is reserved"),
    ],
)  # fmt: skip
def test_why_a_name_cannot_be_is_said(name: object, why: str) -> None:
    assert why in name_problem(name, ("base", "target"))


def test_what_is_asked_of_points_is_read(tmp_path: Path) -> None:
    assert load_study(write(tmp_path, GOOD)).criteria is None
    asked = {
        "constraints": ["2*facts - size >= 0.5", "size <= 3"],
        "cone": ["1 facts for 2 size"],
        "utility": "facts / size",
    }
    found = load_study(write(tmp_path, {**GOOD, **asked})).criteria
    assert found is not None and found.utility is not None and found.utility.text == "facts / size"
    assert [str(each) for each in found.constraints] == asked["constraints"]
    assert [str(each) for each in found.trades] == asked["cone"]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("constraints", ["facts*size >= 1"], "not linear"),
        ("constraints", ["fact >= 1"], "facts"),
        ("constraints", 3, "list of strings"),
        ("cone", ["facts to size"], "no trade"),
        ("utility", "open('x')", "open"),
        ("utility", 3, "no expression"),
    ],
)
def test_what_cannot_be_asked_of_points_is_named(
    tmp_path: Path, key: str, value: Any, said: str
) -> None:
    error = refusal(tmp_path, changed(key, value=value))
    assert said in str(error) and f": {key}" in str(error)
