"""A study from what was typed: checked before anything is written; recent studies."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from cache.store import Store
from engine.errors import BadInput
from engine.study import load_study
from studio.opening import (
    SHOWN,
    Draft,
    check_draft,
    recent_studies,
    remember_study,
    typed_path,
    write_study,
)
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
        ({"name": "a=b"}, ["cannot name a study: '=' has a meaning"]),
        ({"base": ""}, ["it is empty"]),
        ({"base": "/nowhere"}, ["no such file or directory"]),
        ({"experts": ()}, ["no expert is named"]),
        ({"experts": (("a", "/x"), ("a", "/y"))}, ["two are called a"]),
        ({"experts": (("", "/x"), ("b", ""))}, ["/x has no name", "b has no directory"]),
        ({"experts": (("base", "/x"),)}, ["cannot name an expert"]),
        ({"tokenizer": "gone"}, ["no model named 'gone'"]),
        ({"objectives": ()}, ["no objective is given"]),
        ({"place": "\0"}, ["is not a path"]),
        ({"place": ""}, ["no path is given"]),
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


def test_a_typed_path_may_be_relative_or_of_the_home() -> None:
    assert typed_path(" x/y.yaml ", "here") == Path.cwd() / "x/y.yaml"
    assert typed_path("~/y.yaml", "here") == Path.home() / "y.yaml"


@pytest.mark.parametrize("text", ["", "~nobody-here/x", "\0"])
def test_a_typed_path_that_is_none_is_said(text: str) -> None:
    with pytest.raises(BadInput, match="path"):
        typed_path(text, "here")


def test_recent_studies_come_latest_first_without_what_is_gone(
    family: FamilyFiles, tmp_path: Path
) -> None:
    text = family.study("terse", name="recent", objectives=COST).read_text()
    text = text.replace("base: base", f"base: {family.base}")
    paths = []
    with Store.open(tmp_path / "home") as store:
        for number in range(SHOWN + 4):
            paths.append(tmp_path / f"s{number}.yaml")
            paths[-1].write_text(text.replace("study: recent", f"study: s{number}"))
            remember_study(store, load_study(paths[-1]))
        remember_study(store, load_study(paths[3]))
        paths[-1].unlink()
        found = recent_studies(store, current=paths[-2])
    latest = ["s3", "s9", "s8", "s7", "s6", "s5", "s4", "s2"]
    assert [each.name for each in found] == latest and len(latest) == SHOWN
    assert found[0].path == paths[3] and found[0].at > 0
