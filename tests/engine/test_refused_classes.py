"""A class that cannot be run exactly is refused alike by `check`, by a command and by the app,
before anything is scored."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from engine.errors import BadInput
from studio.opening import read_study
from tests.differential.classes import Class, write_family
from tests.headless import run

WHY = "it is not a causal model"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of a BERT that is no decoder: what it says of a token depends on later ones."""
    root = tmp_path_factory.mktemp("bert")
    write_family(Class("bert", "bert", "BertLMHeadModel"), root)
    (root / "data.jsonl").write_text('{"prompt": "as", "target": "is"}\n' * 4, encoding="utf-8")
    document = {
        "study": "bert",
        "family": {"base": "base", "experts": {"north": "north"}},
        "objectives": [
            {"name": "loss", "data": "data.jsonl", "scorer": "nll", "report_fraction": 0}
        ],
    }
    place = root / "study.yaml"
    place.write_text(yaml.safe_dump(document), encoding="utf-8")
    return place


def test_check_evaluate_and_the_app_refuse_it_alike(study, tmp_path, monkeypatch):
    monkeypatch.setenv("PARETOSCOPE_HOME", str(tmp_path))
    checked = run(tmp_path, "check", study)
    (base, north) = (each for each in checked.document["problems"] if WHY in each["what"])
    assert checked.code == 2
    assert base["where"].startswith("base (") and north["where"].startswith("north (")
    recipe = study.parent / "recipe.yaml"
    recipe.write_text("method: task_arithmetic\ncoefficients: {north: 0.5}\n", encoding="utf-8")
    evaluated = run(tmp_path, "evaluate", study, "--recipe", recipe)
    assert evaluated.code == 2 and WHY in evaluated.err
    with pytest.raises(BadInput, match=WHY):
        read_study(study)
