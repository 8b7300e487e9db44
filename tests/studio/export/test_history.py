"""Exports that were made, as the page lists them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from studio.export.history import history, model_text, verified_text, written


def test_files_that_are_there_are_listed_with_their_sizes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0" * 5)
    assert written({"out": str(tmp_path), "files": ["a", "gone"]}) == "a  5 bytes"


def record(out: Path, **more: Any) -> dict[str, Any]:
    return {
        "out": str(out), "point": "abc", "study": "trio", "form": "merged", "bytes": 1500,
        "recipe": {"method": "linear", "coefficients": {"x": 1.0}}, "verified": True,
        "max_logit_difference": 0.0, "at": 0.0, **more,
    }  # fmt: skip


def test_history_says_what_is_gone(tmp_path: Path) -> None:
    (tmp_path / "paretoscope.json").write_text('{"point": "abc"}')
    rows = history([record(tmp_path / "gone"), record(tmp_path), record(tmp_path, point="d")], {})
    assert [each["where"] for each in rows[1:]] == [
        str(tmp_path), f"no longer there: {tmp_path / 'gone'}"
    ]  # fmt: skip
    assert rows[1]["as"] == "checkpoint" and rows[1]["model"] == "linear(x 1)"
    assert rows[0]["where"].startswith("no longer there")  # overwritten by another point's


def test_whether_it_was_verified() -> None:
    assert verified_text({"verified": None}) == "not verified"
    said = verified_text({"verified": True, "max_logit_difference": 1.5e-5})
    assert said == "Verified: largest logit difference 1.5e-05."


def test_sizes_and_times_are_numbers_and_dates(tmp_path: Path) -> None:
    """As text 10.1 MB stood before 9.9 MB."""
    [row] = history([record(tmp_path, bytes=10_100_000, at=1000.0)], {})
    assert row["MB"] == 10.1 and row["when"] == datetime.fromtimestamp(1000.0)


def test_an_export_names_its_model(tmp_path: Path) -> None:
    assert model_text(record(tmp_path), {}) == "linear(x 1) · point abc"
    names = {"abc": "the calm one"}
    assert model_text(record(tmp_path), names) == "the calm one · linear(x 1) · point abc"
    [row] = history([record(tmp_path)], names)
    assert row["model"] == "the calm one · linear(x 1)"
