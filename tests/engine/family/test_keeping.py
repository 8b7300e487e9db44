"""What cannot be kept is told, and leaves nothing behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.family.keeping import keep


def test_what_is_kept_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "answers" / "one.json"
    keep(file, {"misfits": []})
    keep(file, {"misfits": [["a", "b"]]})
    assert json.loads(file.read_text()) == {"misfits": [["a", "b"]]}
    assert [each.name for each in file.parent.iterdir()] == ["one.json"]


def test_a_place_that_is_no_directory_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "answers").write_text("mine")
    keep(tmp_path / "answers" / "one.json", {})
    assert "one.json cannot be kept" in caplog.text
    assert (tmp_path / "answers").read_text() == "mine"


def test_a_disk_that_fills_up_keeps_no_part(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: Path, text: str, **_: object) -> None:
        file.write_bytes(text[:3].encode())
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    keep(tmp_path / "one.json", {"misfits": []})
    assert list(tmp_path.iterdir()) == [] and "No space left on device" in caplog.text
