"""The job "export": held-back rows that cannot be read are not taken for none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.errors import BadInput
from engine.jobs.inline import InlineExecutor
from engine.worker.messages import Job
from tests.engine.jobs.small import build_small_study, recipe
from tests.families import write_lines

LOSS = {"name": "loss", "data": "rows.jsonl", "scorer": "nll", "report_data": "held.jsonl"}


def test_held_back_rows_that_broke_since_are_refused_before_anything_is_measured(
    tmp_path: Path,
) -> None:
    other = {"name": "has", "data": "rows.jsonl", "scorer": "contains", "max_new_tokens": 2}
    study = build_small_study(tmp_path, objectives=(LOSS, other))
    held = tmp_path / "held.jsonl"
    write_lines(held, [{"prompt": "old stone", "targets": ["bridge"]}])
    rows: list[dict[str, Any]] = []
    with InlineExecutor(tmp_path / "home", device="cpu", on_rows=rows.extend) as executor:
        executor.submit(Job("open", {"study": str(study)})).result(60)
        held.write_text('{"prompt": "the sea"}\n', encoding="utf-8")
        out = tmp_path / "out"
        payload = {"study": str(study), "recipe": recipe(helpful=0.5), "out": str(out)}
        with pytest.raises(BadInput, match=r"held\.jsonl:1"):
            executor.submit(Job("export", payload)).result(60)
    assert rows == [] and not out.exists()
