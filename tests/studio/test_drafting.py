"""A study from what was typed: checked before anything is written, each problem with its field."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from engine.errors import BadInput
from engine.study import load_study
from engine.study_family import Wording
from studio.drafting import Draft, check_draft, fields_of, write_study
from studio.study_text import add_objective, remove_objective
from tests.families import FamilyFiles

COST = ({"name": "cost", "scorer": "cost"},)


@pytest.fixture
def draft(family: FamilyFiles, tmp_path: Path) -> Draft:
    experts = (
        ("a", str(family.experts["helpful"])),
        ("", " "),
        ("b", str(family.experts["terse"])),
    )
    return Draft("trio", str(tmp_path / "new"), str(family.base), experts, COST)


def test_a_draft_becomes_the_file_that_was_checked(draft: Draft, tmp_path: Path) -> None:
    study, family = check_draft(draft)
    assert study.path == tmp_path / "new" / "study.yaml" and not study.path.parent.exists()
    assert [*family.models] == ["base", "a", "b"]
    write_study(draft, study.path)
    assert load_study(study.path) == study


def test_a_file_that_is_there_is_never_overwritten(draft: Draft, tmp_path: Path) -> None:
    place = tmp_path / "taken.yaml"
    place.write_text("mine")
    taken = dataclasses.replace(draft, place=str(place))
    with pytest.raises(BadInput, match="not overwritten"):
        check_draft(taken)
    with pytest.raises(BadInput, match="cannot be written"):
        write_study(taken, place)
    assert place.read_text() == "mine"


@pytest.mark.parametrize(
    ("change", "whats"),
    [
        ({"name": " "}, ["it is empty"]),
        ({"name": "a=b"}, ["cannot name a study: '=' is reserved"]),
        ({"base": ""}, ["it is empty"]),
        ({"base": "/nowhere"}, ["no such file or directory"]),
        ({"experts": ()}, ["no expert is listed"]),
        ({"experts": (("a", "/x"), ("a", "/y"))}, ["two experts are called a"]),
        ({"experts": (("", "/x"), ("b", ""))}, ["/x has no name", "b has no directory"]),
        ({"experts": (("base", "/x"),)}, ["cannot name an expert"]),
        ({"tokenizer": "gone"}, ["no model named 'gone'"]),
        ({"objectives": ()}, ["no objectives are given"]),
        ({"place": "\0"}, ["is not a path"]),
        ({"place": ""}, ["no path was given"]),
        ({"target": "/nowhere", "base": "/gone"}, ["target (/nowhere)", "base (/gone)"]),
    ],
)
def test_every_problem_of_a_draft_is_said(
    draft: Draft, change: dict[str, Any], whats: list[str]
) -> None:
    with pytest.raises(BadInput) as found:
        check_draft(dataclasses.replace(draft, **change))
    assert all(what in str(found.value) for what in whats)


def test_a_place_below_a_file_is_said(draft: Draft, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    below = dataclasses.replace(draft, place=str(tmp_path / "file" / "deep" / "study.yaml"))
    study, _ = check_draft(below)
    with pytest.raises(BadInput, match="cannot be written"):
        write_study(below, study.path)


def test_target_and_tokenizer_are_written_where_they_are_given(
    draft: Draft, family: FamilyFiles
) -> None:
    assert "target" not in draft.document()["family"]
    more = dataclasses.replace(draft, target=f" {family.target} ", tokenizer="a")
    study, found = check_draft(more)
    assert study.family.target == family.target and found.spec.tokenizer == "a"


def test_every_problem_is_said_at_once_with_its_field(
    draft: Draft, family: FamilyFiles, tmp_path: Path
) -> None:
    taken = tmp_path / "taken.yaml"
    taken.write_text("mine")
    (tmp_path / "empty").mkdir()
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"x")
    experts = (
        ("good one", str(family.experts["helpful"])), ("", str(tmp_path / "empty")), ("", ""),
        ("a:b", str(tmp_path / "pickled")), ("c", ""),
    )  # fmt: skip
    wrong = dataclasses.replace(
        draft, name="x=y", place=str(taken), base=str(tmp_path / "nowhere"), experts=experts,
        target="/gone", tokenizer="other",
        objectives=({"name": "n=", "scorer": "regex", "data": "no.jsonl", "limit": 0},),
    )  # fmt: skip
    with pytest.raises(BadInput) as found:
        check_draft(wrong)
    fields = fields_of(wrong, found.value.problems)
    said = {field: " ".join(map(str, problems)) for field, problems in fields.items()}
    assert set(said) == {
        "name", "place", "base", "expert:1", "expert:3", "expert:4", "target", "tokenizer",
        "objective:name", "objective:limit", "objective:pattern", "objective:data",
    }, said  # fmt: skip
    assert "'=' is reserved" in said["name"] and "not overwritten" in said["place"]
    assert "nowhere" in said["base"] and "/gone" in said["target"]
    assert "has no name" in said["expert:1"] and "adapter_config.json" in said["expert:1"]
    assert "':' is reserved" in said["expert:3"] and ".bin" in said["expert:3"]
    assert "has no directory" in said["expert:4"] and "limit" in said["objective:limit"]
    assert "no.jsonl" in said["objective:data"] and "regex needs" in said["objective:pattern"]


def test_a_model_that_is_not_there_is_said_at_its_field_alone(draft: Draft) -> None:
    wrong = dataclasses.replace(draft, experts=(draft.experts[0], ("some expert", "/nowhere")))
    with pytest.raises(BadInput) as found:
        check_draft(wrong)
    assert set(fields_of(wrong, found.value.problems)) == {"expert:1"}


def test_a_draft_with_one_expert_and_one_objective_is_a_study(
    draft: Draft, family: FamilyFiles
) -> None:
    one = dataclasses.replace(
        draft, name="my one", experts=(("the only one", str(family.experts["helpful"])),)
    )
    study, found = check_draft(one)
    write_study(one, study.path)
    assert load_study(study.path) == study and list(found.experts) == ["the only one"]


WORDS = {
    "base": {"template": "", "system": "", "prefix": "Question:\n "},
    "target": {"template": "{own}", "system": "", "prefix": ""},
    "expert:0": {"template": "{own}", "system": "Be: kind # 1\n", "prefix": ""},
    "expert:1": {"system": "for a row that is blank"},
    "expert:2": {"template": " ", "system": "", "prefix": ""},
}


def test_what_models_read_of_their_own_is_written_and_stays(
    draft: Draft, family: FamilyFiles, tmp_path: Path
) -> None:
    own = tmp_path / "own.jinja"
    own.write_text("{% for each in messages %}{{ each['content'] }}{% endfor %}")
    words = {
        model: {key: text.replace("{own}", str(own)) for key, text in each.items()}
        for model, each in WORDS.items()
    }
    more = dataclasses.replace(draft, target=str(family.target), words=words)
    study, found = check_draft(more)
    assert study.family.templates == {
        "base": Wording(prefix="Question:\n "),
        "target": Wording(own),
        "a": Wording(own, system="Be: kind # 1\n"),
    }
    assert found.words["a"].system == "Be: kind # 1\n"
    write_study(more, study.path)
    assert load_study(study.path) == study
    add_objective(study.path, {"name": "another", "scorer": "cost"})
    remove_objective(study.path, "cost")
    changed = load_study(study.path)
    assert changed.family == study.family and changed.objective("another").scorer == "cost"


def test_what_is_wrong_with_words_belongs_to_their_model(draft: Draft, tmp_path: Path) -> None:
    (tmp_path / "bad.jinja").write_text("{% for %}")
    words = {
        "base": {"template": str(tmp_path / "gone.jinja")},
        "expert:0": {"template": str(tmp_path / "bad.jinja")},
        "expert:2": {"template": "\0"},
    }
    told = dataclasses.replace(draft, experts=(("a", draft.experts[0][1]), *draft.experts[1:]))
    for model, what in (("base", "no such file"), ("expert:2", "is not a path")):
        wrong = dataclasses.replace(told, words={model: words[model]})
        with pytest.raises(BadInput) as found:
            check_draft(wrong)
        fields = fields_of(wrong, found.value.problems)
        assert [*fields] == [f"words:{model}"] and what in str(fields[f"words:{model}"][0])
    wrong = dataclasses.replace(told, words={"expert:0": words["expert:0"]})
    with pytest.raises(BadInput) as found:
        check_draft(wrong)
    assert [*fields_of(wrong, found.value.problems)] == ["words:expert:0"]
