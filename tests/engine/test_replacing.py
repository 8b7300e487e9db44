"""A study file's successor: there while it is written, gone whatever happens."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from engine import replacing
from engine.__main__ import main


def names(place: Path) -> list[str]:
    return sorted(each.name for each in place.iterdir())


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    with pytest.raises(RuntimeError), replacing.successor(study) as (path, _):
        assert path.parent == tmp_path
        raise RuntimeError
    assert names(tmp_path) == []


def killed(study: Path) -> None:
    """A process is killed while it writes a successor."""
    pid = os.fork()
    if pid == 0:
        with replacing.successor(study):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)


def test_what_a_killed_process_left_goes_at_the_next_start(tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text("study: s\n")
    (tmp_path / "home").mkdir()
    own = tmp_path / ".study-notes.yaml"
    own.write_text("somebody's")
    killed(study)
    assert len(names(tmp_path)) == 4
    assert main(["check", str(study), "--workspace", str(tmp_path / "home")]) == 2
    assert names(tmp_path) == [own.name, "home", study.name]
    killed(study)
    with replacing.successor(study) as (path, _):
        assert replacing.clean_beside(study) == []  # its process lives
        assert names(tmp_path) == sorted([own.name, path.name, "home", study.name])
    assert names(tmp_path) == [own.name, "home", study.name]
