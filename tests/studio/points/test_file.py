"""A table that cannot be written says which file, not the one beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cache.arrow import pa
from engine.errors import BadInput
from studio.points.file import write


def test_a_place_that_takes_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "points.csv").mkdir()
    with pytest.raises(BadInput, match=r"points\.csv: it cannot be written"):
        write(pa.table({"id": ["a"]}), tmp_path / "points.csv")
    assert [each.name for each in tmp_path.iterdir()] == ["points.csv"]
