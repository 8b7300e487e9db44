"""The card tells which rows held back were not unseen, and which were copies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import headless
from tests.engine.jobs.small import build_small_study, single

HELD = "`report` rows were held back while the mixture was chosen"


def exported(root: Path, *objectives: dict[str, object], copies: int = 0) -> tuple[str, dict]:
    """README.md and paretoscope.json of the base, exported."""
    study = build_small_study(root, objectives=objectives)
    rows = (root / "rows.jsonl").read_text().splitlines()
    (root / "rows.jsonl").write_text("\n".join([*rows, *rows[:copies]]))
    recipe, out = root / "recipe.yaml", root / "out"
    recipe.write_text(json.dumps(single("base")))
    ran = headless.run(root / "home", "export", study, "--recipe", recipe, out)
    assert ran.code == 0, ran.err
    return (out / "README.md").read_text(), json.loads((out / "paretoscope.json").read_text())


LOSS = {"name": "loss", "data": "rows.jsonl", "scorer": "nll"}


def test_rows_that_another_objective_explored_are_told(tmp_path: Path) -> None:
    other = {"name": "more", "data": "rows.jsonl", "scorer": "perplexity", "report_fraction": 0.9}
    card, manifest = exported(tmp_path, LOSS, other, copies=2)
    [seen, first, second] = manifest["notes"]
    assert seen.startswith("more: ") and "held back for its report are explored by loss" in seen
    assert first.startswith("loss: rows.jsonl: 2 rows repeat others") and "counts once" in first
    assert second.startswith("more: rows.jsonl: ")
    assert f"{HELD}, except as stated here:" in card and str(tmp_path) not in card
    assert all(f"* {note}" in card for note in manifest["notes"])


@pytest.mark.parametrize("fraction", [0.3, 0.6])
def test_nothing_is_told_of_rows_that_nobody_saw(tmp_path: Path, fraction: float) -> None:
    loss = {**LOSS, "report_fraction": fraction}
    both = loss, {**loss, "name": "more", "scorer": "perplexity"}
    card, manifest = exported(tmp_path, *both)
    assert "notes" not in manifest and f"{HELD}." in card
