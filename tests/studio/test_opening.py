"""Study files by their paths, and recent ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from cache.store import Store
from engine.errors import BadInput
from engine.study import load_study
from studio.opening import SHOWN, recent_studies, remember_study, typed_path
from tests.families import FamilyFiles

COST = ({"name": "cost", "scorer": "cost"},)


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
