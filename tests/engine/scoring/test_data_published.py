"""Published shapes: each with a row of right reading, in every format that holds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.scoring.data import look, read_rows
from engine.study import objective_of_document
from tests.engine.scoring.published import CASES, FORMATS, TABLES, Case, write


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_row_of_each_shape_in_every_format(tmp_path: Path, case: Case) -> None:
    for number, suffix in enumerate(FORMATS):
        if suffix in TABLES and not case.tables:
            continue
        path = write(tmp_path, suffix, case.records, zipped=number % 2 == 1)
        document = {"name": "a", "scorer": case.scorer, "data": str(path), **case.keys}
        objective = objective_of_document(
            {**document, "report_fraction": 0.0}, tmp_path / "study.yaml"
        )
        [row, *_] = read_rows(objective, "explore")
        found = {name: getattr(row, name) for name in case.wanted}
        assert found == case.wanted, suffix
        seen = look(path, objective)
        assert seen.reading is not None and seen.rows[0] == row and seen.sentence()
