"""mergekit's YAML: what it says per tensor, what is refused by name, and that ours reads back."""

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
from engine.export.mergekit import MergekitPlan, layer_of, read_mergekit, to_mergekit
from engine.method import Names
from engine.recipe import Recipe, resolve

assert engine.merging and engine.decoding

GOLDEN = Path(__file__).parents[2] / "golden" / "merging"
EXPERTS = ("expert_a", "expert_b", "expert_c")
Q, UP, HEAD = (
    "model.layers.{}.self_attn.q_proj.weight",
    "model.layers.{}.mlp.up_proj.weight",
    "lm_head.weight",
)


def plan(document: Mapping[str, Any]) -> MergekitPlan:
    return read_mergekit(document, Path("/somewhere/merge.yaml"))


def arithmetic(*weights: Any, **parameters: Any) -> dict[str, Any]:
    """Task arithmetic of models m0, m1, … on base."""
    rows = [
        {"model": f"m{index}", "parameters": {"weight": weight}}
        for index, weight in enumerate(weights)
    ]
    document = {"merge_method": "task_arithmetic", "base_model": "base", "models": rows}
    return document | ({"parameters": parameters} if parameters else {})


def weights(document: Mapping[str, Any], tensor: str, layers: int = 5) -> list[float]:
    """Weights at a tensor: base first, then the models in the order of the file."""
    return list(plan(document).coefficients(tensor, layers).values())


class TestSettings:
    def test_a_number(self) -> None:
        assert weights(arithmetic(0.25, 0.5), HEAD) == [0.25, 0.25, 0.5]

    def test_a_gradient_over_the_depth(self) -> None:
        document = arithmetic([0, 1, 0.5])
        found = [weights(document, UP.format(layer))[1] for layer in range(5)]
        assert found == [0.0, 0.5, 1.0, 0.75, 0.5]
        assert weights(document, "model.embed_tokens.weight")[1] == 0.0
        assert weights(document, "model.norm.weight")[1] == 0.0  # outside the layers: the first
        assert weights(document, UP.format(0), layers=1)[1] == 0.5  # a single layer: the last

    def test_the_first_filter_that_matches(self) -> None:
        document = arithmetic(
            [
                {"filter": "self_attn", "value": [0, 1]},
                {"filter": "mlp", "value": 0.5},
                {"filter": "up_proj", "value": 9},
                {"value": 0.25},
            ]
        )
        assert weights(document, Q.format(1))[1] == 0.25
        assert weights(document, Q.format(4))[1] == 1.0
        assert weights(document, UP.format(4))[1] == 0.5
        assert weights(document, HEAD)[1] == 0.25
        everything = arithmetic([{"filter": "*", "value": 3}])
        assert weights(everything, HEAD)[1] == 3.0
        assert weights(arithmetic({"filter": "lm_head", "value": 2}), HEAD)[1] == 2.0

    def test_no_filter_that_matches_falls_back_to_the_shared_setting(self) -> None:
        document = arithmetic([{"filter": "mlp", "value": 1}], None, weight=[0.5, 1.0])
        assert weights(document, UP.format(0))[1:] == [1.0, 0.5]
        assert weights(document, Q.format(4))[1:] == [1.0, 1.0]
        filters = arithmetic([{"filter": "mlp", "value": 1}], weight=[{"value": 4}])
        assert weights(filters, Q.format(0))[1] == 4.0

    def test_no_filter_that_matches_at_all(self) -> None:
        with pytest.raises(BadInput, match="no filter matches lm_head"):
            weights(arithmetic([{"filter": "mlp", "value": 1}]), HEAD)

    def test_normalize_and_lambda(self) -> None:
        assert weights(arithmetic(1, 3, normalize=True), HEAD) == [0.0, 0.25, 0.75]
        assert weights(arithmetic(1, 3, normalize=False), HEAD) == [-3.0, 1.0, 3.0]
        scaled = arithmetic(1, 3, normalize=True, **{"lambda": 2})
        assert weights(scaled, HEAD) == [-1.0, 0.5, 1.5]
        assert weights(arithmetic(1, **{"lambda": [0, 1]}), UP.format(2))[1] == 0.5
        # mergekit divides by 1 where the weights cancel
        assert weights(arithmetic(1, -1, normalize=True), HEAD) == [1.0, 1.0, -1.0]

    def test_the_base_among_the_models_changes_nothing(self) -> None:
        document = arithmetic(1, 3, normalize=True)
        document["models"].insert(0, {"model": "base"})
        assert weights(document, HEAD) == [0.0, 0.25, 0.75]

    def test_what_only_mergekit_schedules_by_is_passed_over(self) -> None:
        assert weights(arithmetic(1, int8_mask=True), HEAD) == [0.0, 1.0]

    @pytest.mark.parametrize(
        ("tensor", "layer"),
        [
            ("model.layers.11.mlp.up_proj.weight", 11), ("h.3.attn.c_attn.weight", 3),
            ("transformer.h.3.ln_1.weight", 3), ("gpt_neox.layers.0.x.weight", 0),
            ("model.embed_tokens.weight", None), ("lm_head.weight", None),
            ("model.layers.x.weight", None),
        ],
    )  # fmt: skip
    def test_layers_by_name(self, tensor: str, layer: int | None) -> None:
        assert layer_of(tensor) == layer


class TestLinear:
    def linear(self, *given: Any, **more: Any) -> dict[str, Any]:
        rows = [
            {"model": name, "parameters": {"weight": weight}}
            for name, weight in zip(("base", "m1", "m2"), given, strict=False)
        ]
        return {"merge_method": "linear", "models": rows, **more}

    def test_normalized_unless_told_otherwise(self) -> None:
        assert weights(self.linear(1, 3), HEAD) == [0.25, 0.75]
        loose = self.linear(1, 3, parameters={"normalize": False})
        assert weights(loose, HEAD) == [1.0, 3.0]

    def test_the_first_model_gives_the_configuration(self) -> None:
        assert plan(self.linear(1, 3)).base == Path("/somewhere/base")
        chosen = plan(self.linear(1, 3, base_model="m1"))
        assert chosen.base == Path("/somewhere/m1")
        assert chosen.coefficients(HEAD, 1)["base"] == 0.75

    def test_a_base_that_is_not_listed_takes_part(self) -> None:
        document = self.linear(None, None, base_model="other", parameters={"weight": 1})
        assert weights(document, HEAD) == pytest.approx([1 / 3] * 3)
        with pytest.raises(BadInput, match=r"base_model: .*no weight"):
            plan(self.linear(1, 3, base_model="other"))

    def test_weights_that_cancel(self) -> None:
        with pytest.raises(BadInput, match="sum to 0 at lm_head"):
            weights(self.linear(1, -1), HEAD)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"merge_method": "slerp"}, ("slerp", "task_arithmetic")),
        ({"merge_method": "dare_ties"}, ("dare_ties",)),
        ({"merge_method": ["linear"]}, ("merge_method",)),
        ({"slices": []}, ("slices", "not supported")),
        ({"tokenizer_source": "union"}, ("tokenizer_source", "not supported")),
        ({"chat_template": "auto"}, ("chat_template", "not supported")),
        ({"modules": {}}, ("modules", "not supported")),
        ({"models": None}, ("no models are listed",)),
        ({"models": {}}, ("no models are listed",)),
        ({"models": ["m1"]}, ("models[0]", "'model' is missing")),
        ({"models": [{"model": "m", "weight": 1}]}, ("models[0]", "'weight'")),
        ({"models": [{"model": "m", "parameters": {"density": 1}}]}, ("density", "lambda")),
        ({"models": [{"model": "m", "parameters": [1]}]}, ("models[0].parameters", "[1]")),
        ({"models": [{"model": "m"}]}, ("models[0]", "'weight' is missing")),
        ({"models": [{"model": "a\0"}]}, ("models[0]", "not a path")),
        ({"base_model": None}, ("base_model", "Name the base")),
        ({"base_model": {"model": "x"}}, ("base_model", "expected a path")),
        ({"parameters": {"rescale": True}}, ("rescale",)),
        ({"parameters": {"normalise": True}}, ("normalise", "mean normalize")),
        ({"parameters": {"normalize": [{"value": True}]}}, ("normalize", "true or false")),
        ({"parameters": ["weight"]}, ("parameters", "expected a mapping")),
    ],
)
def test_is_refused_by_name(change: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(BadInput) as caught:
        plan(arithmetic(1) | change)
    said = str(caught.value)
    assert "/somewhere/merge.yaml" in said
    for word in words:
        assert word in said
    assert all(each.fix for each in caught.value.problems)


def endless() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


@pytest.mark.parametrize(
    "setting",
    [
        "half", True, [], [1, "x"], [[1]], float("nan"), [1, float("inf")], [{"filter": "*"}],
        [{"value": [{"value": 1}]}], [1, {"value": 1}], [{"filer": "mlp", "value": 1}],
        10**400, endless(),
    ],
    ids=str,
)  # fmt: skip
def test_a_setting_that_is_none(setting: Any) -> None:
    with pytest.raises(BadInput, match=r"merge\.yaml: weight of m0-0"):
        weights(arithmetic(setting), HEAD)


def test_every_problem_at_once() -> None:
    document = arithmetic(1) | {"slices": [], "parameters": {"x": 1}, "base_model": None}
    with pytest.raises(BadInput) as caught:
        plan(document)
    assert len(caught.value.problems) == 3


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
    for method in ("pcb", "ties", "breadcrumbs", "dare", "compeft", "rtsv", "tsv", "proxy_tuning"):
        recipe = resolve(Recipe(method, {"a": 1.0}), Names(("a",)))
        assert to_mergekit(recipe, {"base": "b", "a": "a"}, "float32") is None


def test_dtypes(published: Path) -> None:
    document = {**BASE, "models": rows(0.3, 0.5, 0.2), "out_dtype": "bfloat16"}
    assert merged(published, document)["model.norm.weight"].dtype == torch.bfloat16
    wide = merged(published, document, dtype="float32")
    assert wide["model.norm.weight"].dtype == torch.float32
    for wrong in ("int8", ["float32"], 16):
        with pytest.raises(BadInput, match="dtype"):
            merged(published, {**document, "out_dtype": wrong})
