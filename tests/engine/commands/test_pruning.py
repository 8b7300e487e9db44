"""Recipe files that prune, in the shell."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file

from tests import headless
from tests.engine.jobs.small import build_small_study

RECIPE = {
    "method": "task_arithmetic",
    "coefficients": {"helpful": 0.7},
    "prune": {"objective": "loss", "ratio": 0.25},
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_small_study(tmp_path_factory.mktemp("family"))


def written(place: Path, **more: object) -> Path:
    place.write_text(yaml.safe_dump({**RECIPE, **more}), encoding="utf-8")
    return place


def test_evaluate_generate_and_export(study: Path, tmp_path: Path) -> None:
    home, file = tmp_path / "home", written(tmp_path / "recipe.yaml")
    ran = headless.run(home, "evaluate", study, "--recipe", file, "--objectives", "loss")
    assert ran.code == 0, ran.err
    (point,) = ran.document["points"]
    prune = point["recipe"]["prune"]
    assert prune["variant"] == "activation" and len(prune["rows"]) == 12
    asked = ("generate", study, "--point", point["id"], "--prompt", "the quick")
    assert headless.run(home, *asked).document["recipe"] == point["recipe"]
    out = tmp_path / "out"
    ran = headless.run(home, "export", study, "--point", point["id"], out)
    assert ran.code == 0 and ran.document["verified"], ran.err
    weights = load_file(out / "model.safetensors")
    zeros = (weights["model.layers.1.mlp.down_proj.weight"] == 0).sum(1)
    assert zeros.tolist() == [48 - 36] * 32


def test_a_merge_without_a_study_refuses_it(study: Path, tmp_path: Path) -> None:
    root = study.parent
    models = {"base": str(root / "base"), "experts": {"helpful": str(root / "helpful")}}
    file = written(tmp_path / "merge.yaml", **models)
    ran = headless.run(tmp_path / "home", "merge", file, tmp_path / "out")
    assert ran.code == 2 and not (tmp_path / "out").exists()
    assert "prune" in ran.err and "study" in ran.err and "Traceback" not in ran.err


def test_logit_methods_refuse_it(study: Path, tmp_path: Path) -> None:
    file = written(tmp_path / "recipe.yaml", method="proxy_tuning")
    ran = headless.run(tmp_path / "home", "evaluate", study, "--recipe", file)
    assert ran.code == 2 and "proxy_tuning runs models as they are" in ran.err
