"""From the shell: numbers that overflow give a reason and no score, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import headless
from tests.engine.run.small import build_small_study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_small_study(tmp_path_factory.mktemp("family"), adapter=True)


@pytest.mark.parametrize(
    "recipe",
    [
        "method: task_arithmetic\ncoefficients: {terse: 1.0e+25}",  # adapters, unmerged
        "method: task_arithmetic\ncoefficients: {helpful: 1.0e+24}",  # merged weights
    ],
)
def test_a_reason_and_no_score(study: Path, tmp_path: Path, recipe: str) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(recipe)
    sound = tmp_path / "sound.yaml"
    sound.write_text("method: task_arithmetic\ncoefficients: {helpful: 0.5}")
    ask = ("evaluate", study, "--recipe", file, "--recipe", sound)
    ran = headless.run(tmp_path / "home", *ask)
    assert ran.code == 1
    bad, good = ran.document["points"]
    assert good["error"] is None and good["scores"]["has"]["mean"] is not None
    assert "overflow in model.layers." in bad["error"]
    assert bad["scores"]["cost"]["mean"] is not None
    for name in ("has", "loss"):
        assert {bad["scores"][name][key] for key in ("mean", "stderr", "low", "high")} == {None}
    again = headless.run(tmp_path / "home", *ask)
    assert again.code == 1 and again.document == ran.document  # not measured again: same seconds
    cost = headless.run(tmp_path / "home", *ask[:4], "--objectives", "cost")
    assert cost.code == 0 and cost.document["points"][0]["error"] is None
    front = headless.run(tmp_path / "home", "front", study)
    assert front.document["front"] == [good["id"]] and front.document["failed"] == 1
