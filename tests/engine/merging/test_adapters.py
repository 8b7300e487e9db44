"""Adapters of other spellings, on other layers and under any name, against peft on what it saved.

Every layout is made from a file that peft saved; the right value is peft's on the file as it was.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.compose import Composer
from engine.errors import BadInput, IncompatibleFamily
from engine.export.card import Papers, papers_kind
from engine.export.point import export_point
from engine.family.compatibility import Family, open_family
from engine.recipe import Recipe, resolve
from engine.study import FamilySpec
from tests import adapters

IDS = torch.randint(5, 300, (2, 12), generator=torch.Generator().manual_seed(0))
TIGHT = {"rtol": 0, "atol": 3e-5}
FRONT = "base_model.model."


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return adapters.build_base(tmp_path_factory.mktemp("adapters") / "base")


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return adapters.build_gpt2(tmp_path_factory.mktemp("gpt2") / "base", tied=False)


def respell(place: Path, out: Path, spell: Callable[[str], str], **settings: Any) -> Path:
    """A copy of an adapter whose tensors have other names, and perhaps other settings."""
    shutil.copytree(place, out)
    stored = load_file(place / "adapter_model.safetensors")
    save_file({spell(name): each for name, each in stored.items()}, out / place_of(out).name)
    file = out / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))
    return out


def place_of(directory: Path) -> Path:
    return directory / "adapter_model.safetensors"


def opened(base: Path, **experts: Path) -> tuple[Family, Composer]:
    family = open_family(FamilySpec(base, experts))
    return family, Composer(family, device="cpu")


def composed(composer: Composer, method: str, c: Mapping[str, float], **parameters: Any) -> Tensor:
    recipe = resolve(Recipe(method, dict(c), parameters), composer.family.names)
    return adapters.logits(composer.compose(recipe).modules[0], IDS)


def _named(name: str, adapter: str) -> str:
    stem, _, end = name.rpartition(".")
    return f"{stem}.{adapter}.{end}" if end in ("weight", "bias") else f"{name}.{adapter}"


SPELLINGS: dict[str, Callable[[str], str]] = {
    "wrapped twice": lambda name: FRONT + name,
    "with its name": lambda name: _named(name, "default"),
    "not wrapped": lambda name: name.removeprefix(FRONT),
    "without .weight": lambda name: name.removesuffix(".weight"),
    "of the inner model": lambda name: name.replace(f"{FRONT}model.", FRONT),
    "inner, not wrapped": lambda name: name.replace(f"{FRONT}model.", ""),
    "inner, wrapped twice, named": lambda name: FRONT + _named(name, "x").replace(".model.l", ".l"),
    "named, not wrapped, bare": lambda name: _named(name, "me").removesuffix(".weight")[17:],
    "compiled, in parallel": lambda name: f"module._orig_mod.{name}",
}


@pytest.mark.parametrize("kind", ["LoRA", "LoRA, drawn", "DoRA", "LoHa", "VeRA"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_is_used_by_every_path(
    base: Path, tmp_path: Path, kind: str, spelling: str
) -> None:
    place = base.parent / f"{kind} as saved"
    if not place.exists():
        adapters.write(base, place, kind)
    if kind == "VeRA" and "bare" in spelling:
        spelling = "not wrapped"
    other = respell(place, tmp_path / "other", SPELLINGS[spelling])
    _, composer = opened(base, plain=place, train=other)
    for method, parameters in (("single", {}), ("task_arithmetic", {}), ("linear", {})):
        found = []
        for name in ("plain", "train"):
            c = {} if method == "single" else {name: 1.0}
            model = {"model": name} if method == "single" else parameters
            found.append(composed(composer, method, c, **model))
        assert torch.equal(*found), method
    live = adapters.logits(adapters.under_peft(base, place), IDS)
    torch.testing.assert_close(composed(composer, "single", {}, model="train"), live, **TIGHT)


def test_a_square_layer_is_read_by_its_class(gpt2: Path, tmp_path: Path) -> None:
    """GPT-2's square c_proj is Conv1D whatever fan_in_fan_out says; its head is not."""
    layers = ["c_attn", "c_proj", "lm_head", "wte"]
    place = adapters.write(
        gpt2, tmp_path / "x", "LoRA", change=lambda a: a.update(target_modules=layers)
    )
    live = adapters.logits(adapters.under_peft(gpt2, place), IDS)
    merged = adapters.logits(adapters.merged_by_peft(gpt2, place), IDS)
    for said in (True, False):
        other = respell(place, tmp_path / f"said {said}", str, fan_in_fan_out=said)
        family, composer = opened(gpt2, half=other)
        assert family.experts["half"].kind == "lora"
        torch.testing.assert_close(
            composed(composer, "task_arithmetic", {"half": 1.0}), live, **TIGHT
        )
        with torch.no_grad():
            zero = adapters.load(gpt2)
            basis = composer.basis(resolve(Recipe("linear", {"half": 1.0}, {}), family.names))
            state = zero.state_dict()
            for name in basis.tensors.names:
                out = torch.zeros(basis.tensors.shape(name))
                basis.combine(name, {"half": 1.0, "base": 0.0}, out)
                state[name if name in state else f"transformer.{name}"].copy_(out)
            torch.testing.assert_close(adapters.logits(zero, IDS), merged, **TIGHT)


NAMES = (
    "math-v1.5", "half", "double", "type", "keys", "train", "lora_A", "default", "base_layer",
    "weight", "forward", "scaling", "a.b.c", "modules",
)  # fmt: skip


def test_an_expert_may_be_called_anything(base: Path, tmp_path: Path) -> None:
    """Each alone, all together, and exported: the same as under names of no meaning."""
    places = {
        name: adapters.write(base, tmp_path / f"{index}", ("LoRA", "DoRA")[index % 2], seed=index)
        for index, name in enumerate(NAMES)
    }
    family, composer = opened(base, **places)
    _, other = opened(base, **{f"x{i}": place for i, place in enumerate(places.values())})
    for index, name in enumerate(NAMES):
        found = composed(composer, "single", {}, model=name)
        assert torch.equal(found, composed(other, "single", {}, model=f"x{index}"))
    plain = {name: 0.5 for name in NAMES if family.experts[name].kind == "lora"}
    assert len(plain) == 7
    found = composed(composer, "task_arithmetic", plain)
    wanted = composed(other, "task_arithmetic", {f"x{NAMES.index(name)}": 0.5 for name in plain})
    assert torch.equal(found, wanted)
    out = exported(composer, plain, tmp_path / "out")
    torch.testing.assert_close(adapters.logits(adapters.under_peft(base, out), IDS), found, **TIGHT)


def exported(composer: Composer, c: Mapping[str, float], out: Path) -> Path:
    recipe = resolve(Recipe("task_arithmetic", dict(c), {}), composer.family.names)
    papers = Papers(
        study="adapters", family=composer.family, recipe=recipe, kind=papers_kind(recipe, True),
        numerics="cpu/float32/1", point="0" * 12,
        fingerprints=dict.fromkeys(composer.family.models, "0" * 64),
    )  # fmt: skip
    export_point(composer, papers, out, adapter=True)
    return out


PAIRS = [
    ("rsLoRA", "LoRA"), ("LoRA", "rsLoRA"), ("rsLoRA", "rsLoRA"), ("LoRA, one layer", "LoRA"),
    ("LoRA", "LoRA, one layer"), ("LoRA, all but", "LoRA"), ("LoRA, patterns", "LoRA"),
    ("LoRA", "LoRA, patterns"), ("LoRA", "LoRA, by pattern"), ("LoRA, by pattern", "LoRA"),
    ("LoRA, by pattern", "LoRA, patterns"), ("LoRA, drawn", "LoRA, all but"),
]  # fmt: skip


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_an_exported_mixture_of_two(base: Path, tmp_path: Path, first: str, second: str) -> None:
    """Plain peft on the plain base: θ0 + Σ c_i (θ_i − θ0), θ_i as peft merges each by itself."""
    places = [
        adapters.write(base, tmp_path / str(i), kind, seed=i)
        for i, kind in enumerate((first, second))
    ]
    _, composer = opened(base, half=places[0], other=places[1])
    c = {"half": 0.7, "other": -0.4}
    out = exported(composer, c, tmp_path / "out")
    zero = adapters.load(base)
    with torch.no_grad():
        start = {name: each.clone() for name, each in zero.named_parameters()}
        for weight, place in zip(c.values(), places, strict=True):
            theirs = adapters.merged_by_peft(base, place).state_dict()
            for name, parameter in zero.named_parameters():
                parameter.add_((theirs[name] - start[name]) * weight)
    wanted = adapters.logits(zero, IDS)
    torch.testing.assert_close(
        adapters.logits(adapters.under_peft(base, out), IDS), wanted, **TIGHT
    )
    torch.testing.assert_close(composed(composer, "task_arithmetic", c), wanted, **TIGHT)
    config = peft.PeftConfig.from_pretrained(str(out))
    assert not config.use_rslora and config.layers_to_transform is None
    assert config.exclude_modules is None and config.lora_alpha == config.r


def test_an_exported_mixture_on_conv1d_and_embeddings(gpt2: Path, tmp_path: Path) -> None:
    layers = ["c_attn", "c_proj", "wte"]
    place = adapters.write(
        gpt2, tmp_path / "x", "LoRA", change=lambda a: a.update(target_modules=layers)
    )
    _, composer = opened(gpt2, x=place)
    out = exported(composer, {"x": 1.0}, tmp_path / "out")
    live = adapters.logits(adapters.under_peft(gpt2, place), IDS)
    torch.testing.assert_close(adapters.logits(adapters.under_peft(gpt2, out), IDS), live, **TIGHT)


TIED = {
    "the embedding": {"target_modules": ["embed_tokens"]},
    "the head": {"target_modules": ["lm_head"]},
    "a saved embedding": {"modules_to_save": ["embed_tokens"]},
    "a saved head": {"modules_to_save": ["lm_head"]},
    "both saved apart": {"modules_to_save": ["embed_tokens", "lm_head"]},
}


@pytest.mark.parametrize("changes", TIED.values(), ids=TIED)
def test_what_would_untie_the_base_is_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    """peft's merge of these gives a model of other sizes, or other logits than peft's own run."""
    base = adapters.build_base(tmp_path / "base", tied=True)
    place = adapters.write(base, tmp_path / "x", "LoRA", change=lambda a: a.update(changes))
    with pytest.raises(IncompatibleFamily, match="one tensor"):
        open_family(FamilySpec(base, {"x": place}))


@pytest.mark.parametrize(
    "changes",
    [{"trainable_token_indices": [3, 7]}, {"rows": adapters.MORE},
     {"modules_to_save": ["embed_tokens"], "ensure_weight_tying": True}],
    ids=["tokens", "resized", "saved once"],
)  # fmt: skip
def test_what_keeps_the_base_tied_is_used(changes: dict[str, Any], tmp_path: Path) -> None:
    base = adapters.build_base(tmp_path / "base", tied=True)
    place = adapters.write(base, tmp_path / "x", "LoRA", change=lambda a: a.update(changes))
    _, composer = opened(base, x=place)
    merged = adapters.merged_by_peft(base, place)
    with torch.no_grad():
        for parameter in merged.parameters():
            parameter.copy_(parameter.to(torch.bfloat16))
    found = composed(composer, "linear", {"x": 1.0})
    torch.testing.assert_close(found, adapters.logits(merged, IDS), **TIGHT)
    live = adapters.logits(adapters.under_peft(base, place), IDS)
    torch.testing.assert_close(composed(composer, "single", {}, model="x"), live, **TIGHT)


def test_layers_that_a_file_lacks_are_told(base: Path, tmp_path: Path) -> None:
    """A LoHa of which one layer's factor is gone, and one whose configuration asks for more."""
    place = adapters.write(base, tmp_path / "x", "LoHa")
    stored = load_file(place_of(place))
    gone = next(name for name in stored if name.endswith("hada_w1_a"))
    save_file({k: v for k, v in stored.items() if k != gone}, place_of(place))
    with pytest.raises(BadInput, match="hada_w1_a is missing"):
        open_family(FamilySpec(base, {"x": place}))


SIZED = ("DoRA", "AdaLoRA", "BOFT", "DeLoRA", "HiRA", "HRA", "LN tuning", "LoHa", "MiSS", "VeRA")


@pytest.mark.parametrize("kind", SIZED)
def test_an_adapter_of_a_base_of_other_sizes(base: Path, tmp_path: Path, kind: str) -> None:
    """The same names on wider layers: told from headers."""
    other = tmp_path / "wide"
    shutil.copytree(base, other)
    stored = load_file(base / "model.safetensors")
    wide = {
        name: torch.zeros([2 * size if size == 32 else size for size in each.shape])
        for name, each in stored.items()
    }
    save_file(wide, other / "model.safetensors")
    file = other / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"hidden_size": 64, "head_dim": 16}))
    place = adapters.write(base, tmp_path / "x", kind)
    with pytest.raises(IncompatibleFamily, match=r"does not fit the layer .* of base, \[64"):
        open_family(FamilySpec(other, {"x": place}))
