"""mergekit's YAML: its published results, and that what is written reads back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

import engine
from engine.errors import BadInput
from engine.export.mergefile import merge
from engine.export.mergekit import mergekit_text, to_mergekit
from engine.family.compatibility import open_family
from engine.method import Names
from engine.recipe import Recipe, resolve
from engine.study import FamilySpec
from tests.engine.mergekit.tiny import build

assert engine.merging and engine.decoding

GOLDEN = Path(__file__).parents[2] / "golden" / "merging"
EXPERTS = ("expert_a", "expert_b", "expert_c")


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """The published inputs as raw state dicts, base and three experts."""
    models: dict[str, dict[str, torch.Tensor]] = {}
    with np.load(GOLDEN / "inputs.npz") as stored:
        for key in stored.files:
            model, _, tensor = key.partition("/")
            models.setdefault(model, {})[tensor] = torch.from_numpy(stored[key])
    for name, state in models.items():
        save_file(state, tmp_path / f"{name}.safetensors")
    return tmp_path


def merged(folder: Path, document: Mapping[str, Any], **options: Any) -> dict[str, torch.Tensor]:
    """What a mergekit YAML in `folder` gives."""
    file = folder / "mergekit.yaml"
    file.write_text(yaml.safe_dump(dict(document)), encoding="utf-8")
    out = folder / f"out-{len(list(folder.iterdir()))}"
    merge(file, out, workspace=folder / "workspace", device="cpu", **options)
    return load_file(out / "model.safetensors")


def rows(*given: float, names: tuple[str, ...] = EXPERTS) -> list[dict[str, Any]]:
    return [
        {"model": f"{name}.safetensors", "parameters": {"weight": weight}}
        for name, weight in zip(names, given, strict=True)
    ]


BASE = {"merge_method": "task_arithmetic", "base_model": "base.safetensors", "dtype": "float32"}


@pytest.mark.parametrize(
    ("file", "document"),
    [
        ("ta_w", {**BASE, "models": rows(0.3, 0.5, 0.2)}),
        (
            "ta_w_norm_l",
            {
                **BASE,
                "models": rows(0.9, 0.4, 0.7),
                "parameters": {"normalize": True, "lambda": 0.8},
            },
        ),
        (
            "linear",
            {
                "merge_method": "linear",
                "models": rows(0.1, 0.3, 0.4, 0.5, names=("base", *EXPERTS)),
                "dtype": "float32",
            },
        ),
    ],
)
def test_equals_mergekit(published: Path, file: str, document: Mapping[str, Any]) -> None:
    found = merged(published, document)
    with np.load(GOLDEN / f"mergekit_0.1.5_{file}.npz") as stored:
        wanted = {name: torch.from_numpy(stored[name]) for name in stored.files}
    floats = {name for name, each in found.items() if each.is_floating_point()}
    assert floats == {name for name, each in wanted.items() if each.is_floating_point()}
    for name in floats:
        scale = wanted[name].abs().max()
        assert (found[name] - wanted[name]).abs().max() <= 1e-6 * scale, name


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe("task_arithmetic", {"expert_a": 0.3, "expert_c": -0.7}, {"strength": 0.5}),
        Recipe("task_arithmetic", {}),
        Recipe("linear", {"base": 0.2, "expert_b": 0.6}),
        Recipe("linear", {"expert_a": 3, "expert_b": -1}),
        Recipe("ties", dict.fromkeys(EXPERTS, 0.8), {"scope": "tensor", "strength": 0.5}),
        Recipe("ties", dict.fromkeys(EXPERTS, -0.4), {"scope": "tensor", "merge": "sum"}),
        Recipe("ties", {}, {"scope": "tensor"}),
        Recipe("breadcrumbs", {"expert_a": 0.3, "expert_c": -0.7}, {"scope": "tensor"}),
        Recipe("breadcrumbs", {"expert_b": 1}, {"scope": "tensor", "keep": 0.9, "remove": 0.3}),
        Recipe("breadcrumbs_ties", {"expert_a": 0.3, "expert_b": 0.9}, {"normalize": True}),
        Recipe("breadcrumbs_ties", {"expert_a": -0.3}, {"density": 0.2, "gamma": 0.1}),
        Recipe("multislerp", {"expert_a": 0.3, "expert_c": 0.4}),
        Recipe("multislerp", {"expert_b": 0.3}),
    ],
    ids=str,
)
def test_what_is_written_reads_back_as_the_same_merge(published: Path, recipe: Recipe) -> None:
    recipe = resolve(recipe, Names(EXPERTS))
    places = {name: f"{name}.safetensors" for name in ("base", *EXPERTS)}
    text = to_mergekit(recipe, places, "float32")
    assert text is not None
    again = merged(published, yaml.safe_load(text))
    file = published / "ours.yaml"
    models = {"base": places.pop("base"), "experts": places}
    file.write_text(yaml.safe_dump({**models, **recipe.as_dict()}), encoding="utf-8")
    merge(file, published / "ours", workspace=published / "workspace", device="cpu")
    ours = load_file(published / "ours/model.safetensors")
    assert set(again) == set(ours)
    for name, each in ours.items():
        assert torch.allclose(again[name], each, rtol=0, atol=1e-6), name


def test_what_mergekit_cannot_say() -> None:
    for method in ("pcb", "ties", "breadcrumbs", "dare", "compeft", "rtsv", "tsv", "proxy_tuning",
                   "dare_ties", "dare_linear", "della", "della_linear"):  # fmt: skip
        recipe = resolve(Recipe(method, {"a": 1.0}), Names(("a",)))
        assert to_mergekit(recipe, {"base": "b", "a": "a"}, "float32") is None
    for more in ({"merge": "max"}, {"merge": "mean"}):  # the largest alone; unequal coefficients
        given = {"a": 1.0, "b": 1.0 + (more["merge"] == "mean")}
        recipe = resolve(Recipe("ties", given, {"scope": "tensor", **more}), Names(("a", "b")))
        assert to_mergekit(recipe, {"base": "z", "a": "a", "b": "b"}, "float32") is None


def test_dtypes(published: Path) -> None:
    document = {**BASE, "models": rows(0.3, 0.5, 0.2), "out_dtype": "bfloat16"}
    assert merged(published, document)["model.norm.weight"].dtype == torch.bfloat16
    wide = merged(published, document, dtype="float32")
    assert wide["model.norm.weight"].dtype == torch.float32
    for wrong in ("int8", ["float32"], 16):
        with pytest.raises(BadInput, match="dtype"):
            merged(published, {**document, "out_dtype": wrong})


def test_methods_that_thin_out_are_written_where_the_same_elements_are_kept(tmp_path: Path) -> None:
    recipe = Recipe("ties", {"a": 1.0, "b": 1.0}, {"scope": "tensor"})

    def written(models: Path) -> bool:
        spec = FamilySpec(models / "base", {name: models / name for name in ("a", "b")})
        family = open_family(spec, text=False)
        return mergekit_text(resolve(recipe, spec.names), family) is not None

    assert written(build(tmp_path, "llama"))
    assert not written(build(tmp_path, "mixtral"))  # experts are thinned out together there
    file = tmp_path / "llama/a/model.safetensors"
    save_file({name: each.bfloat16() for name, each in load_file(file).items()}, file)
    assert not written(tmp_path / "llama")  # equal differences, of which either may be kept
