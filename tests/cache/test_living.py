"""Work is in the hands of one living process, and free again however that process ends."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

import pytest

from cache.living import Living


def test_work_is_held_until_it_is_let_go_or_its_process_is_gone(tmp_path: Path) -> None:
    here, there = Living(tmp_path / "claims"), Living(tmp_path / "claims")
    assert here.hold("a") and here.hold("a") and there.hold("b")
    assert not there.hold("a") and there.elsewhere("a") and not here.elsewhere("a")
    assert not here.elsewhere("never")
    mode = stat.S_IMODE((tmp_path / "claims" / "a.work").stat().st_mode)
    assert mode == 0o600
    here.let_go("a")
    assert not there.elsewhere("a") and there.hold("a") and here.elsewhere("a")
    os.close(there._held.pop("b"))  # as the kernel does for a dead process
    assert (tmp_path / "claims" / "b.work").exists()
    assert not here.elsewhere("b") and not (tmp_path / "claims" / "b.work").exists()
    there.let_go_all()
    assert list((tmp_path / "claims").iterdir()) == []


def test_without_locks_nobody_else_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object) -> None:
        raise OSError(37, "no locks available")

    here, there = Living(tmp_path), Living(tmp_path)
    monkeypatch.setattr(fcntl, "flock", refuses)
    assert here.hold("a") and not there.elsewhere("a") and there.hold("a")
