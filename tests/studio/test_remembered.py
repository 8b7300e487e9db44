"""Points stand before the engine has said how they are keyed, where little has to be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from cache.store import Store
from engine.demo import demo_in
from studio import remembered
from studio.opening import read_study
from studio.remembered import keys_before
from ui import opened


def test_the_demo_of_a_fresh_workspace_has_its_points_at_once(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PARETOSCOPE_STUDY")
    bench = opened.connect()
    assert bench.opened is None and bench.worker().name == "starting"
    measured = bench.measured()
    assert len(measured) > 150 and not measured.failures
    assert {str(each) for each in measured.recipes} >= set(bench.names.models)
    assert all(measured.complete(row) for row in range(len(measured)))
    assert bench.study.path == home / "demo/study.yaml"


def test_a_large_family_is_not_read_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, objectives, family = read_study(demo_in(tmp_path))
    with Store.open(tmp_path) as store:
        monkeypatch.setattr(remembered, "AT_ONCE", sum(m.bytes for m in family.models.values()) - 1)
        assert keys_before(family, objectives, store, tmp_path) is None
        monkeypatch.undo()
        keys = keys_before(family, objectives, store, tmp_path)
        assert keys is not None and list(keys[1]) == [each.name for each in objectives]


def test_without_points_there_are_no_keys(study: Path, tmp_path: Path) -> None:
    _, objectives, family = read_study(study)
    with Store.open(tmp_path) as store:
        assert keys_before(family, objectives, store, tmp_path) is None
