from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.errors import BadInput
from engine.family.checkpoint import open_checkpoint
from engine.family.compatibility import open_family
from engine.family.loading import load_module, place_stored
from engine.family.weights import Reader
from engine.study import FamilySpec
from tests.families import FamilyFiles

NAME = "model.layers.1.mlp.up_proj.weight"
CPU = "cpu"


def test_reads_tensors_as_stored(pristine: FamilyFiles) -> None:
    stored = {
        k: v for file in pristine.base.glob("*.safetensors") for k, v in load_file(file).items()
    }
    with Reader(open_checkpoint(pristine.base)) as reader:
        assert not reader.lora and set(reader.names) == set(stored)
        for name in reader.names:
            assert torch.equal(reader.read(name), stored[name])
            assert reader.dtype(name) is stored[name].dtype is torch.bfloat16
            assert reader.shape(name) == stored[name].shape
        assert torch.equal(reader.read(NAME, slice(3, 5)), stored[NAME][3:5])
        with pytest.raises(ValueError):
            reader.delta(NAME)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_numbers_that_are_not_finite_are_refused_where_they_are_read(
    tmp_path: Path, dtype: torch.dtype, value: float
) -> None:
    state = {
        "w": torch.ones(9, 3, dtype=dtype), "no": torch.ones(0, 3), "ids": torch.arange(4),
        "rotary_emb.inv_freq": torch.full((2,), value),
    }  # fmt: skip
    state["w"][7, 1] = value
    file = tmp_path / "x.safetensors"
    save_file(state, file)
    checkpoint = open_checkpoint(file)
    assert torch.equal(Reader(checkpoint).read("w").isfinite(), state["w"].isfinite())
    with Reader(checkpoint, check=True) as reader:
        assert len(reader.read("w", slice(0, 7))) == 7
        for rows in (None, slice(7, 9), None):
            with pytest.raises(BadInput, match=r"x\.safetensors: tensor w: holds NaN or infinity"):
                reader.read("w", rows)
        for name in ("no", "ids", "rotary_emb.inv_freq"):  # loaders compute the last one
            assert reader.read(name).shape == state[name].shape


def test_an_adapter_s_factors_are_looked_at_too(pristine: FamilyFiles, tmp_path: Path) -> None:
    place = tmp_path / "broken"
    shutil.copytree(pristine.experts["terse"], place)
    state = load_file(place / "adapter_model.safetensors")
    damaged = next(each for each in sorted(state) if "lora_B" in each)
    state[damaged][0, 0] = float("inf")
    save_file(state, place / "adapter_model.safetensors")
    family = open_family(FamilySpec(pristine.base, {"broken": place}))
    reader = Reader(family.experts["broken"], check=True)
    with pytest.raises(BadInput, match=r"adapter_model.*lora_B.*holds NaN or infinity"):
        for name in reader.names:
            reader.delta(name)


# peft asks transformers for a property that it has renamed
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
@pytest.mark.parametrize("name", ["terse", "formal"])
def test_deltas_are_what_peft_merges(name: str, pristine: FamilyFiles) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    family = open_family(FamilySpec(pristine.base, {name: pristine.experts[name]}))
    base = AutoModelForCausalLM.from_pretrained(pristine.base, dtype=torch.float32)
    before = {key: value.clone() for key, value in base.named_parameters()}
    merged = PeftModel.from_pretrained(base, pristine.experts[name]).merge_and_unload()
    reader = Reader(family.experts[name])
    assert reader.lora
    for key, value in merged.named_parameters():
        delta = reader.delta(key)
        assert (delta is None) == (key not in reader.names)
        if delta is None:
            assert torch.equal(value, before[key])
            continue
        assert delta.dtype is torch.float32 and delta.shape == reader.shape(key)
        torch.testing.assert_close(before[key] + delta, value.data, rtol=0, atol=1e-6)
        assert delta.abs().max() > 0
        part = reader.delta(key, slice(1, 4))
        torch.testing.assert_close(part, delta[1:4], rtol=0, atol=1e-6)
    with pytest.raises(ValueError):
        reader.read(NAME)


def test_transposed_delta(tmp_path: Path) -> None:
    """GPT-2 stores [in, out]; r = 1, A = [1 2 3], B = [10 20]: delta[i, o] = s A_i B_o."""
    config = {"peft_type": "LORA", "r": 1, "lora_alpha": 2, "fan_in_fan_out": True}
    (tmp_path / "a").mkdir()
    (tmp_path / "a/adapter_config.json").write_text(json.dumps(config))
    module = "base_model.model.transformer.h.0.attn.c_attn"
    tensors = {
        f"{module}.lora_A.weight": torch.tensor([[1.0, 2, 3]]),
        f"{module}.lora_B.weight": torch.tensor([[10.0], [20]]),
    }
    save_file(tensors, tmp_path / "a/adapter_model.safetensors")
    stored = {"h.0.attn.c_attn.weight": torch.zeros(3, 2)}  # without the prefix, as GPT-2's own
    save_file(stored, tmp_path / "base.safetensors")
    spec = FamilySpec(tmp_path / "base.safetensors", {"a": tmp_path / "a"})
    reader = Reader(open_family(spec, text=False).experts["a"])
    (name,) = reader.names
    assert name == "h.0.attn.c_attn.weight"
    delta = reader.delta(name)
    assert delta is not None and delta.tolist() == [[20, 40], [40, 80], [60, 120]]
    part = reader.delta(name, slice(1, 2))
    assert part is not None and part.tolist() == [[40, 80]]


def test_module_and_its_places(pristine: FamilyFiles) -> None:
    base = open_checkpoint(pristine.base)
    module, places = load_module(base, CPU, torch.float32)
    assert not module.training
    parameters = dict(module.named_parameters())
    assert not any(each.requires_grad for each in parameters.values())
    targets = {name: part.target for name, part in places.parts.items()}
    assert set(targets) == set(Reader(base).names) and set(targets.values()) == set(parameters)
    for name, target in targets.items():
        assert torch.equal(Reader(base).read(name).float(), parameters[target])
    target = open_checkpoint(pristine.target, "target")
    module, places = load_module(target, CPU, torch.bfloat16)
    assert places.parts["lm_head.weight"].target == "lm_head.weight"
    assert next(module.parameters()).dtype is torch.bfloat16
    assert not load_module(target, CPU, torch.float32, mapped=False)[1].parts


def test_prefix_of_the_base_model_is_put_on(files: FamilyFiles) -> None:
    file = files.experts["padded"] / "model.safetensors"
    stripped = {name.removeprefix("model."): each for name, each in load_file(file).items()}
    save_file(stripped, file)
    _, places = load_module(open_checkpoint(files.experts["padded"]), CPU, torch.float32)
    assert places.parts[NAME.removeprefix("model.")].target == NAME


def test_stored_head_of_a_tied_model(files: FamilyFiles) -> None:
    file = files.experts["padded"] / "model.safetensors"
    tensors = load_file(file)
    embedding = tensors["model.embed_tokens.weight"]
    save_file({**tensors, "lm_head.weight": embedding.clone()}, file)
    _, places = load_module(open_checkpoint(files.experts["padded"]), CPU, torch.float32)
    assert "lm_head.weight" not in places.parts
    save_file({**tensors, "lm_head.weight": embedding + 1}, file)
    model, places = load_module(open_checkpoint(files.experts["padded"]), CPU, torch.float32)
    assert places.parts["lm_head.weight"].target == "lm_head.weight"
    assert torch.equal(dict(model.named_parameters())["lm_head.weight"], (embedding + 1).float())


def test_missing_tensor_is_not_left_random(files: FamilyFiles) -> None:
    file = files.experts["padded"] / "model.safetensors"
    save_file({name: each for name, each in load_file(file).items() if name != NAME}, file)
    with pytest.raises(BadInput, match=f"tensor {NAME}"):
        load_module(open_checkpoint(files.experts["padded"]), CPU, torch.float32)


def test_unknown_tensor_is_refused_by_name(files: FamilyFiles) -> None:
    file = files.experts["padded"] / "model.safetensors"
    save_file({**load_file(file), "model.layers.0.gate.weight": torch.ones(2)}, file)
    with pytest.raises(BadInput, match=r"model\.layers\.0\.gate\.weight is not a parameter"):
        load_module(open_checkpoint(files.experts["padded"]), CPU, torch.float32)


def test_permuted_weight_is_refused_by_name(pristine: FamilyFiles) -> None:
    base = open_checkpoint(pristine.base)
    module, _ = load_module(base, CPU, torch.float32)
    weight = dict(module.named_parameters())[NAME]
    weight.data = weight.data.flip(0)
    with pytest.raises(BadInput, match=f"{NAME} changes when LlamaForCausalLM is loaded"):
        place_stored(module, base)


def test_parameter_that_is_not_stored_is_refused(pristine: FamilyFiles) -> None:
    base = open_checkpoint(pristine.base)
    module, _ = load_module(base, CPU, torch.float32)
    module.extra = torch.nn.Parameter(torch.ones(2))
    with pytest.raises(BadInput, match="parameter extra of LlamaForCausalLM"):
        place_stored(module, base)


def test_unknown_model_type_and_remote_code(files: FamilyFiles) -> None:
    place = files.experts["padded"]
    config = json.loads((place / "config.json").read_text())
    config |= {"model_type": "ours", "auto_map": {"AutoConfig": "evil.Config"}}
    (place / "config.json").write_text(json.dumps(config))
    (place / "evil.py").write_text(f"open({str(place / 'ran')!r}, 'w')\nclass Config: pass\n")
    with pytest.raises(BadInput, match="transformers cannot load it"):
        load_module(open_checkpoint(place), CPU, torch.float32)
    assert not (place / "ran").exists()


def test_only_full_checkpoints_are_models(pristine: FamilyFiles) -> None:
    with pytest.raises(ValueError):
        load_module(open_checkpoint(pristine.experts["terse"]), CPU, torch.float32)
