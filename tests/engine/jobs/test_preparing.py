"""What a job tells while a basis is made for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from engine.compose import Composer
from engine.family.compatibility import open_family
from engine.jobs.preparing import telling
from engine.recipe import Recipe, resolve
from engine.study import load_study
from tests.families import build_tied_family


def test_progress_says_what_is_prepared_and_how_far_it_is(tmp_path: Path) -> None:
    files = build_tied_family(tmp_path)
    family = open_family(load_study(files.study("helpful", "padded", tokenizer="padded")).family)
    composer = Composer(family, device="cpu", compute_dtype="float32")
    told: list[dict[str, Any]] = []
    ticks: list[None] = []

    def emit(kind: str, data: dict[str, Any] | None = None) -> None:
        assert kind == "progress" and data is not None
        told.append(data)

    recipe = resolve(Recipe("pcb", dict.fromkeys(family.experts, 0.5), {}), family.names)
    with torch.no_grad():
        tick = telling(composer, emit, lambda: ticks.append(None), {"done": 2, "total": 5})  # type: ignore[arg-type]
        composer.compose(recipe, tick)
        stages = [each.get("stage", "") for each in told]
        assert stages[0].startswith("preparing pcb: ") and stages[-1] == ""
        assert all({"done": 2, "total": 5}.items() <= each.items() for each in told)
        assert len(set(stages)) == len(stages) < len(ticks)  # told when it has changed, no oftener
        told.clear()
        composer.compose(recipe, tick)
        assert not told  # it is there already
