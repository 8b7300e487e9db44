"""check, as its report says it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.commands import report
from engine.commands.checking import check
from engine.family import memory
from tests.engine.jobs.small import build_small_study


@pytest.mark.parametrize(
    ("free", "wanted"),
    [
        (1 << 40, ["In memory", "In memory", "In memory"]),
        (0, ["`merge` writes", "`merge` writes", "fewer or smaller models"]),
    ],
)
def test_which_way_fits_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, wanted: list[str]
) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: free)
    study = build_small_study(tmp_path)
    found = check(SimpleNamespace(study=study, workspace=tmp_path))
    assert found["ok"] and set(found["ways"]) == {"direct", "prepared", "logit"}
    assert {each["fits"] for each in found["ways"].values()} == {free > 0}
    lines = report.check(found).splitlines()[-3:]
    assert all(part in line for part, line in zip(wanted, lines, strict=True))
