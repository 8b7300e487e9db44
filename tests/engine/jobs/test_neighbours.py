"""Others beside a scored model: its weights moved and put back, and divergences from an expert."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor

import engine.decoding
import engine.merging  # noqa: F401  registers what the recipes name
from engine.compose import Composer
from engine.errors import BadInput
from engine.family.compatibility import open_family
from engine.jobs.neighbours import Neighbours
from engine.jobs.service import Service
from engine.merging.merged_model import merged_tensor
from engine.recipe import Recipe, resolve
from engine.scoring.beside import Unmoved
from engine.scoring.objectives import prepare
from engine.study import load_study
from engine.worker.messages import Job
from tests.engine.jobs.alone import Alone
from tests.engine.jobs.small import build_small_study, recipe, single

ROWS = {"data": "rows.jsonl", "max_new_tokens": 5}
OBJECTIVES: tuple[dict[str, Any], ...] = (
    {"name": "drift", "scorer": "kl_to_base", **ROWS},
    {"name": "base", "scorer": "kl_to", **ROWS},
    {"name": "helpful", "scorer": "kl_to", "model": "helpful", **ROWS},
    {"name": "says", "scorer": "refusal", "phrases": ["e", "a", "t"], **ROWS},
    {"name": "still", "scorer": "tamper", "phrases": ["e", "a", "t"], "expert": "helpful",
     "step": 0.0, **ROWS},
    {"name": "moved", "scorer": "tamper", "phrases": ["e", "a", "t"], "expert": "helpful",
     "step": 1.0, **ROWS},
    {"name": "again", "scorer": "contains", **ROWS},
    {"name": "bits", "scorer": "bits", "quantisation": "float16"},
)  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("family")
    return build_small_study(root, adapter=True, objectives=OBJECTIVES)


@pytest.fixture(scope="module")
def composer(study: Path) -> Composer:
    return Composer(open_family(load_study(study).family), device="cpu")


def beside(composer: Composer, method: str, **coefficients: float) -> Neighbours:
    parameters = {"model": "base"} if method == "single" else {}
    made = resolve(Recipe(method, coefficients, parameters), composer.family.names)
    return Neighbours(composer, composer.compose(made), lambda: None)


def stored(study: Path, name: str) -> dict[str, Tensor]:
    [file] = (study.parent / name).glob("*.safetensors")
    return load_file(file)


@pytest.mark.parametrize(
    ("method", "coefficients"),
    [
        ("task_arithmetic", {"helpful": 0.6}),
        ("task_arithmetic", {"terse": 0.5}),
        ("pcb", {"helpful": 0.6}),
        ("single", {}),
    ],
)
def test_weights_move_a_step_and_come_back(
    study: Path, composer: Composer, method: str, coefficients: dict[str, float]
) -> None:
    near = beside(composer, method, **coefficients)
    [module] = near.scored.modules

    def weights() -> dict[str, Tensor]:
        return {k: v.clone() for k, v in module.state_dict().items() if ".lora_" not in k}

    before = weights()
    base, expert = stored(study, "base"), stored(study, "helpful")
    name = "model.layers.1.self_attn.q_proj.weight"
    theta = base[name]
    if method != "single":  # as an export holds it
        theta = merged_tensor(composer.basis(near.scored.recipe), name, near.scored.coefficients)
        assert not torch.equal(theta, base[name])
    with near.moved("helpful", 0.25) as moved:
        found = moved.modules[0].state_dict()[name].clone()
        wanted = 0.75 * theta.float() + 0.25 * expert[name].float()
        assert torch.equal(found, wanted.to(theta.dtype).float())
    with near.moved("helpful", 1.0) as moved:
        assert torch.equal(moved.modules[0].state_dict()[name], expert[name].float())
    assert all(torch.equal(each, before[key]) for key, each in weights().items())


@pytest.mark.parametrize("method", ["task_arithmetic", "single"])
def test_a_move_that_was_parked_is_put_back(composer: Composer, method: str) -> None:
    """Another job on the family writes its own weights meanwhile, as `OpenFamilies.park` allows."""
    coefficients = {} if method == "single" else {"helpful": 0.6}
    near = beside(composer, method, **coefficients)
    name = "model.layers.1.self_attn.q_proj.weight"
    with near.moved("helpful", 0.25) as moved:
        [module] = moved.modules
        before, live = module.state_dict()[name].clone(), composer.live
        beside(composer, "task_arithmetic", helpful=-1.0)
        assert not torch.equal(module.state_dict()[name], before)
        composer.restore(live)
        assert torch.equal(module.state_dict()[name], before) and composer.live is live


def test_what_has_no_weights_to_move_is_refused_with_the_reason(composer: Composer) -> None:
    with pytest.raises(Unmoved, match="proxy_tuning mixes logits"):
        beside(composer, "proxy_tuning", helpful=0.5).moved("helpful", 0.1).__enter__()
    with pytest.raises(BadInput, match="Did you mean helpful"):
        beside(composer, "task_arithmetic", helpful=0.5).moved("helpfull", 0.1).__enter__()
    with pytest.raises(BadInput, match="helpful"):
        beside(composer, "task_arithmetic", helpful=0.5).model("helpfull")


def test_a_study_that_names_no_model_of_its_family_is_refused(study: Path) -> None:
    document = yaml.safe_load(study.read_text())
    document["objectives"][2]["model"] = "helpfull"
    document["objectives"][4]["expert"] = "base"
    other = study.parent / "other.yaml"
    other.write_text(yaml.safe_dump(document))
    with pytest.raises(BadInput) as caught:
        prepare(load_study(other))
    said = [str(each) for each in caught.value.problems]
    assert "option model" in said[0] and "Did you mean helpful" in said[0]
    assert "option expert" in said[1] and len(said) == 2


def test_rows_of_a_whole_evaluation(study: Path, tmp_path: Path) -> None:
    rows: dict[tuple[str, str], dict[str, Any]] = {}

    def emit(kind: str, data: Any = None) -> None:
        if kind == "result":
            row = data["row"]
            rows[row["recipe"]["parameters"].get("model", row["recipe"]["method"]),
                 row["objective"]] = row  # fmt: skip

    fused = {"method": "proxy_tuning", "coefficients": {"helpful": 0.5}}
    made = [single("base"), single("helpful"), recipe(helpful=0.5), fused]
    service = Service(tmp_path, "cpu")
    try:
        service.run(Job("evaluate", {"study": str(study), "recipes": made}), Alone(emit), lambda: 0)
    finally:
        service.close()
    mixed = {name: row for (which, name), row in rows.items() if which == "task_arithmetic"}
    assert mixed["drift"]["values"] == mixed["base"]["values"]
    assert mixed["helpful"]["values"] != mixed["base"]["values"]
    assert rows["helpful", "helpful"]["mean"] == rows["base", "base"]["mean"] == 0.0
    # moved by nothing it says the same; all the way, what the expert says; then as before again
    assert mixed["still"]["values"] == mixed["says"]["values"]
    assert mixed["moved"]["values"] == rows["helpful", "says"]["values"]
    assert rows["base", "moved"]["values"] == rows["helpful", "says"]["values"]
    assert mixed["bits"]["mean"] == 16.0 and mixed["bits"]["stderr"] is None
    both = rows["proxy_tuning", "bits"]["mean"]
    assert both == 32.0
    refused = rows["proxy_tuning", "moved"]
    assert refused["mean"] is None and "mixes logits" in refused["error"]
