"""What is written is its owner's alone, but for what is written for others."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.private import VARIABLE, kept_private, tighten

ROOT = Path(__file__).parents[2]


def modes(place: Path) -> dict[str, int]:
    found = [place, *place.rglob("*")]
    return {str(each.relative_to(place)): each.lstat().st_mode & 0o777 for each in found}


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_a_block_keeps_private_and_gives_the_umask_back(tmp_path: Path, umask: None) -> None:
    with kept_private(), kept_private():
        (tmp_path / "in").write_text("")
        assert os.environ[VARIABLE] == "22"
    (tmp_path / "after").write_text("")
    assert VARIABLE not in os.environ
    found = modes(tmp_path)
    assert (found["in"], found["after"]) == (0o600, 0o644)


def test_what_an_earlier_version_left_open_is_closed(tmp_path: Path, umask: None) -> None:
    for name in ("blobs/00/text", "index.duckdb", "exports/one/model", "demo/study.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    outside = tmp_path.with_name("outside")
    outside.write_text("x")
    (tmp_path / "link").symlink_to(outside)
    (tmp_path / "run").write_text("x")
    (tmp_path / "run").chmod(0o755)
    tighten(tmp_path)
    found = modes(tmp_path)
    assert {found[each] for each in ("blobs", "blobs/00", "run")} == {0o700}
    assert {found[each] for each in ("blobs/00/text", "index.duckdb")} == {0o600}
    assert found["exports/one/model"] == found["demo/study.yaml"] == 0o644
    assert outside.stat().st_mode & 0o777 == 0o644
    tighten(tmp_path / "none")


COMMANDS = """
import os, sys
from pathlib import Path
from engine.__main__ import main
from tests.families import build_tied_family
os.umask(0o027)
place = Path(sys.argv[1])
files = build_tied_family(place / "family")
study = str(files.study("helpful", name="s", objectives=[
    {"name": "words", "data": "data/contains.jsonl", "scorer": "contains", "limit": 2},
    {"name": "cost", "scorer": "cost"}]))
(place / "recipe.yaml").write_text("method: task_arithmetic\\ncoefficients: {helpful: 0.5}\\n")
home = ["--workspace", str(place / "home"), "--device", "cpu"]
recipe = ["--recipe", str(place / "recipe.yaml")]
assert main(["evaluate", study, *recipe, *home]) == 0
assert main(["export", study, *recipe, str(place / "made" / "out"), *home]) == 0
assert main(["demo", str(place / "demo"), *home]) == 0
assert os.umask(0o027) == 0o027
"""


def test_a_workspace_is_0600_and_0700_and_an_export_is_by_umask(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    home = tmp_path / "home"
    assert {path: mode for path, mode in modes(home).items() if mode & 0o077} == {}
    assert {"journal", "blobs"} <= set(os.listdir(home))
    for place in (tmp_path / "made", tmp_path / "demo"):
        found = modes(place)
        for name, mode in found.items():
            assert mode == (0o750 if (place / name).is_dir() else 0o640), name
