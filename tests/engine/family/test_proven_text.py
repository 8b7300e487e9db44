"""What is remembered of a tokenizer holds for its files as they are, and for nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.family import proven_text
from engine.family.compatibility import Family, open_family
from engine.family.proven_text import PLACE, is_proven, remember
from engine.study import FamilySpec
from tests.families import FamilyFiles


def opened(files: FamilyFiles) -> Family:
    return open_family(FamilySpec(files.base, {"helpful": files.experts["helpful"]}, None, "base"))


def test_it_holds_until_a_file_changes(files: FamilyFiles, tmp_path: Path) -> None:
    assert not is_proven(opened(files), tmp_path)
    remember(opened(files), tmp_path)
    assert is_proven(opened(files), tmp_path)
    config = files.base / "config.json"
    whole = json.loads(config.read_text())
    config.write_text(json.dumps({**whole, "note": "another"}))
    assert not is_proven(opened(files), tmp_path)
    remember(opened(files), tmp_path)
    (files.base / "tokenizer.model").write_bytes(b"beside the others")
    assert not is_proven(opened(files), tmp_path)


def test_it_does_not_hold_for_another_transformers(
    files: FamilyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(opened(files), tmp_path)
    monkeypatch.setattr(proven_text, "version", lambda name: "another")
    assert not is_proven(opened(files), tmp_path)


def test_a_workspace_that_cannot_be_written_costs_only_time(
    files: FamilyFiles, tmp_path: Path
) -> None:
    (tmp_path / PLACE).write_text("a file where the directory should be")
    remember(opened(files), tmp_path)
    assert not is_proven(opened(files), tmp_path)
