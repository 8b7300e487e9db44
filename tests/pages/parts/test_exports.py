"""Where an export may go."""

from __future__ import annotations

from pathlib import Path

import pytest

from pages.parts.exports import default_place, listing, refusal, size_text, written


def test_a_new_or_empty_directory_is_fine(tmp_path: Path) -> None:
    assert refusal(tmp_path / "new" / "deeper") is None
    assert refusal(tmp_path) is None


def test_what_cannot_be_written_is_said_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for out, what in (
        (tmp_path, "not empty"),
        (tmp_path / "file", "not a directory"),
        (Path("relative/out"), "absolute"),
    ):
        problem = refusal(out)
        assert problem is not None and what in problem.what and problem.fix


def test_each_point_has_its_own_place(tmp_path: Path) -> None:
    assert default_place(tmp_path, "trio", "abc") == tmp_path / "exports" / "trio-abc"


def test_written_files_are_listed_with_their_sizes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0" * 5)
    assert written(tmp_path, ["a", "gone"]) == [("a", 5)]
    assert listing([("a", 5), ("long", 1500)]) == "a        5 bytes\nlong      1.5 kB"


@pytest.mark.parametrize(
    ("size", "text"),
    [(5, "5 bytes"), (1500, "1.5 kB"), (2_000_000, "2.0 MB"), (15_000_000_000, "15.0 GB")],
)
def test_sizes_are_in_words(size: int, text: str) -> None:
    assert size_text(size) == text
