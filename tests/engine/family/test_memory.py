from __future__ import annotations

from pathlib import Path

import pytest

from engine.family import memory
from engine.family.compatibility import open_family
from engine.family.memory import available_memory, memory_needed, ways
from engine.study import FamilySpec
from tests.families import FamilyFiles


def test_counts_models_and_bytes(pristine: FamilyFiles) -> None:
    places = {name: pristine.experts[name] for name in ("helpful", "terse")}
    family = open_family(FamilySpec(pristine.base, places, pristine.target))
    found = memory_needed(family, compute_bytes=2)
    base, target = family.base.parameters, family.models["target"].parameters
    largest = max(each.count for each in family.base.tensors.values())
    assert found["live_bytes"] == 2 * (base + largest) + (16 << 20)
    assert found["weight_space_bytes"] == found["live_bytes"] + found["basis_bytes"]
    terse = family.experts["terse"].parameters
    assert found["logit_space_bytes"] == 2 * (base + target + base + terse) + (272 << 20)
    assert found["available_bytes"] > 0


@pytest.mark.parametrize(
    ("free", "fits"),
    [(1000, (True, True, True)), (600, (True, False, True)), (99, (False, False, False))],
)
def test_what_fits_is_said_beforehand(free: int, fits: tuple[bool, ...]) -> None:
    needed = {"live_bytes": 100, "basis_bytes": 800, "weight_space_bytes": 900,
              "logit_space_bytes": 500, "available_bytes": free}  # fmt: skip
    found = ways(needed)
    assert tuple(each.fits for each in found.values()) == fits
    said = [each.text for each in found.values()]
    if free == 600:
        assert "computed again at every move" in said[1] and "600" in said[1] and "800" in said[1]
    if free == 99:
        assert all("99" in each for each in said) and "`merge` writes" in said[0] == said[1]


def test_extra_rows_count(pristine: FamilyFiles) -> None:
    one = open_family(FamilySpec(pristine.base, {"x": pristine.experts["helpful"]}))
    more = open_family(FamilySpec(pristine.base, {"x": pristine.experts["padded"]}))
    difference = memory_needed(more)["live_bytes"] - memory_needed(one)["live_bytes"]
    assert difference == 8 * 48 * 4


def test_limit_of_the_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info, group = tmp_path / "meminfo", tmp_path / "cgroup"
    group.mkdir()
    info.write_text("MemTotal: 9 kB\nMemAvailable:     1000 kB\n")
    monkeypatch.setattr(memory, "_MEMINFO", info)
    monkeypatch.setattr(memory, "_CGROUP", group)
    assert available_memory() == 1_024_000
    (group / "memory.max").write_text("max\n")
    assert available_memory() == 1_024_000
    (group / "memory.max").write_text("500000\n")
    (group / "memory.current").write_text("400000\n")
    (group / "memory.stat").write_text("anon 1\ninactive_file 50000\n")
    assert available_memory() == 150_000


def test_without_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "none")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path / "none")
    assert available_memory() > 1 << 20
