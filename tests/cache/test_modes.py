from __future__ import annotations

import os
from pathlib import Path

from cache.blobs import Blobs
from cache.compaction import compact
from cache.modes import secure_workspace
from cache.store import Store


def modes(home: Path) -> set[tuple[bool, int]]:
    """(is a directory, mode) of all that lies in a workspace, and of itself."""
    return {(each.is_dir(), each.stat().st_mode & 0o777) for each in (home, *home.rglob("*"))}


def test_a_workspace_is_for_its_owner_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Store.open(home) as store, Blobs(home) as blobs:
        store.append([{"kind": "note", "text": "a"}])
        blobs.put_text("t", "x")
        assert store.records("note")  # the index has its log of writes now
        assert modes(home) == {(True, 0o700), (False, 0o600)}
    compact(home / "journal", home / "segments", least=1)
    with Store.open(home):
        assert modes(home) == {(True, 0o700), (False, 0o600)}


def test_a_workspace_of_an_earlier_build_is_closed_to_others(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Store.open(home) as store, Blobs(home) as blobs:
        store.append([{"kind": "note", "text": "a"}])
        blobs.put_text("t", "x")
    for name in ("adapters", "feedings", "fits", "tokenizers", "unfinished"):
        (home / name).mkdir()
        (home / name / "one").touch()
    for each in (home, *home.rglob("*")):
        each.chmod(0o755 if each.is_dir() else 0o644)
    with Store.open(home):
        assert modes(home) == {(True, 0o700), (False, 0o600)}


def test_what_lies_beside_a_workspace_is_left(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "notes.txt").chmod(0o644)
    tmp_path.chmod(0o755)
    (tmp_path / "journal").mkdir(mode=0o755)
    os.symlink(tmp_path / "notes.txt", tmp_path / "journal" / "link")
    secure_workspace(tmp_path)
    assert (tmp_path / "notes.txt").stat().st_mode & 0o777 == 0o644
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "journal").stat().st_mode & 0o777 == 0o700
