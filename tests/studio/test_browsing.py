"""What lies in a directory of the server, and which of it is a model."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from studio import browsing
from studio.browsing import DATA, STUDIES, listing, start_of


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name, file in (
        ("zeta model", "config.json"), ("adapter", "adapter_config.json"), ("Plain", "x.txt"),
        ("trio", "study.yaml"), (".hidden", "config.json"),
    ):  # fmt: skip
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text("{}")
    (tmp_path / "adapter" / "config.json").write_text("{}")
    for name in ("rows.JSONL", "rows.csv.gz", "notes.txt", "study.yaml"):
        (tmp_path / name).write_text("")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    os.mkdir(os.fsencode(tmp_path) + b"/\xff")
    return tmp_path


def test_directories_that_hold_something_come_first_and_say_what(place: Path) -> None:
    found = listing(place)
    assert list(map(str, found.entries)) == [
        "adapter/ — an adapter", "trio/ — a study", "zeta model/ — a model", "Plain/",
    ]  # fmt: skip
    assert found.crumbs[0] == ("/", Path("/")) and found.crumbs[-1] == (place.name, place)
    assert found.holds == "a study" and found.problem == "" and found.left_out == 0


def test_files_are_offered_by_their_endings(place: Path) -> None:
    files = [each.path.name for each in listing(place, DATA).entries if each.is_file]
    assert files == ["rows.csv.gz", "rows.JSONL"]
    files = [each.path.name for each in listing(place, STUDIES).entries if each.is_file]
    assert files == ["study.yaml"]


def test_a_directory_that_cannot_be_read_says_why(place: Path) -> None:
    found = listing(place / "nowhere")
    assert "No such file or directory" in found.problem and found.entries == ()
    assert "Not a directory" in listing(place / "study.yaml").problem


def test_of_very_many_a_count_is_left(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browsing, "MOST", 3)
    found = listing(place)
    assert len(found.entries) == 3 and found.left_out == 1


def test_browsing_begins_at_what_was_typed_or_above_it(place: Path) -> None:
    assert start_of(str(place / "adapter"), []) == place / "adapter"
    assert start_of(f" {place}/no/such/model ", []) == place
    assert start_of(str(place / "study.yaml"), []) == place
    assert start_of("", [place / "nowhere", place]) == place
    assert start_of("a\0b", []) == Path("/") and start_of("~no-such-user/x", []) == Path("/")
    assert start_of("x" * 5000, [place]) == Path.cwd()
