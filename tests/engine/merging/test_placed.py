"""Classes that transformers renames, fuses or converts on load: merged in the checkpoint's names.

The right values come from plain transformers: safetensors merged by hand, tensor by tensor, and
loaded with from_pretrained.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, AutoModelForImageTextToText

import engine  # noqa: F401  (registers the methods)
from engine.export.checkpoint import merge_to
from engine.export.mergefile import merge
from engine.family.compatibility import Family, open_family
from engine.family.fingerprint import family_fingerprint
from engine.family.loading import load_module
from engine.family.placement import Placement, state_of
from engine.family.tiny import tiny_document
from engine.merging.basis import Tensors, nothing
from engine.merging.merged_model import MergedModel, resize_rows
from engine.recipe import METHODS
from engine.study import FamilySpec

TEXTS = (
    "mixtral", "qwen3_moe", "gpt_neox", "qwen3_next", "jamba", "deepseek_v3", "gemma4_text",
    "apertus", "hrm_text", "zaya",
)  # fmt: skip
TOWERS = ("gemma3", "llava")
COEFFICIENTS = {"a": 0.4, "b": 0.7}


def write_class(root: Path, kind: str, whole: bool = False, **settings: int) -> Path:
    """A tiny random model of a model type and two experts near it: root/base, root/a, root/b."""
    config = CONFIG_MAPPING[kind]
    torch.manual_seed(0)
    whole |= kind == "llava"
    auto = AutoModelForImageTextToText if whole else AutoModelForCausalLM
    tiny = config.from_dict(tiny_document(config().to_dict()) | settings)
    module = auto.from_config(tiny).float()
    with torch.no_grad():
        for name, each in state_of(module).items():
            if each.is_floating_point() and "A_log" not in name:  # buffers show that they count
                each.add_(0.2 * torch.randn_like(each))
    module.save_pretrained(root / "base")
    for seed, name in enumerate("ab", 1):
        shutil.copytree(root / "base", root / name)
        generator = torch.Generator().manual_seed(seed)
        stored = {
            key: each + 0.05 * torch.randn(each.shape, generator=generator)
            if each.is_floating_point()
            else each
            for key, each in stored_in(root / "base").items()
        }
        rewrite(root / name, stored)
    return root


def stored_in(place: Path) -> dict[str, Tensor]:
    return {k: v for file in place.glob("*.safetensors") for k, v in load_file(file).items()}


def rewrite(place: Path, tensors: Mapping[str, Tensor]) -> None:
    save_file(dict(tensors), place / "model.safetensors", metadata={"format": "pt"})


def family_of(root: Path, towers: str = "base") -> Family:
    return open_family(
        FamilySpec(root / "base", {e: root / e for e in "ab"}, towers=towers), text=False
    )


@torch.inference_mode()
def logits(module: torch.nn.Module) -> Tensor:
    return module(input_ids=torch.arange(5, 17)[None]).logits.float()


def plain(place: Path) -> Tensor:
    """Logits of what plain transformers loads from a directory."""
    try:
        return logits(AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32))
    except ValueError:
        return logits(AutoModelForImageTextToText.from_pretrained(place, dtype=torch.float32))


def by_hand(root: Path, kept: frozenset[str]) -> dict[str, Tensor]:
    """θ0 + Σ c τ on what is stored, tensor by tensor; `kept` are the base's."""
    base, a, b = (stored_in(root / name) for name in ("base", "a", "b"))
    return {
        key: each if key in kept else (1 - 1.1) * each + 0.4 * a[key] + 0.7 * b[key]
        for key, each in base.items()
    }


@pytest.mark.parametrize("kind", [*TEXTS, *TOWERS])
def test_merged_in_the_names_of_the_checkpoint(kind: str, tmp_path: Path) -> None:
    root = write_class(tmp_path, kind)
    family = family_of(root)
    base = stored_in(root / "base")
    kept = frozenset(family.base.towers)
    assert bool(kept) == (kind in TOWERS)
    assert set(family.tensors) == {k for k, v in base.items() if v.is_floating_point()} - kept
    tensors = Tensors(family)
    module, placement = load_module(family.base, "cpu", torch.float32)
    assert {name for name, _ in placement.targets()} == set(family.base.weights)
    live = MergedModel(module, placement)
    addresses = {name: each.data_ptr() for name, each in state_of(module).items()}
    hand = tmp_path / "hand"
    shutil.copytree(root / "base", hand)
    rewrite(hand, by_hand(root, kept))
    start, expected = logits(module), plain(hand)
    basis = METHODS["task_arithmetic"].build(tensors)
    live.write(basis, COEFFICIENTS, nothing)
    assert (start - expected).abs().max() > 1e-2
    torch.testing.assert_close(logits(module), expected, rtol=0, atol=1e-5)
    merge_to(tmp_path / "linear", basis, lambda _: COEFFICIENTS)
    written, wanted = stored_in(tmp_path / "linear"), stored_in(hand)
    assert written.keys() == base.keys()
    for name, each in wanted.items():
        torch.testing.assert_close(written[name], each, rtol=0, atol=1e-6)
        assert name not in kept or torch.equal(written[name], base[name])
    pcb = METHODS["pcb"].build(tensors)
    live.write(pcb, COEFFICIENTS, nothing)
    merge_to(tmp_path / "pcb", pcb, lambda _: COEFFICIENTS)
    torch.testing.assert_close(logits(module), plain(tmp_path / "pcb"), rtol=0, atol=2e-5)
    live.write(basis, {"a": 0.0, "b": 0.0}, nothing)
    assert torch.equal(logits(module), start)  # nothing of an earlier recipe is left
    assert {name: each.data_ptr() for name, each in state_of(module).items()} == addresses


def test_what_the_class_ignores_is_carried_through(tmp_path: Path) -> None:
    """Qwen3-Next publishes layers that predict further tokens; its class does not load them."""
    root = write_class(tmp_path, "qwen3_next")
    for seed, name in enumerate(("base", "a", "b")):
        extra = {"mtp.layers.0.mlp.gate.weight": torch.full((2, 2), float(seed))}
        rewrite(root / name, stored_in(root / name) | extra)
    family = family_of(root)
    (ignored,) = family.base.ignored
    assert ignored not in family.tensors and any(ignored in note for note in family.notes)
    module, placement = load_module(family.base, "cpu", torch.float32)
    live = MergedModel(module, placement)
    basis = METHODS["linear"].build(Tensors(family))
    live.write(basis, {"base": 0.0, "a": 1.0, "b": 0.0}, nothing)
    merge_to(tmp_path / "out", basis, lambda _: {"base": 0.0, "a": 1.0, "b": 0.0})
    assert stored_in(tmp_path / "out")[ignored].tolist() == [[0, 0], [0, 0]]
    assert torch.equal(logits(module), plain(root / "a"))
    assert torch.equal(logits(module), plain(tmp_path / "out"))


def test_towers_are_merged_where_asked(tmp_path: Path) -> None:
    root = write_class(tmp_path, "gemma3")
    (root / "merge.yaml").write_text(
        "base: base\nexperts: {a: a, b: b}\nmethod: task_arithmetic\n"
        "coefficients: {a: 0.4, b: 0.7}\ntowers: merge\n"
    )
    merge(root / "merge.yaml", tmp_path / "out", workspace=tmp_path / "workspace")
    written, wanted = stored_in(tmp_path / "out"), by_hand(root, frozenset())
    assert written.keys() == wanted.keys()
    for name, each in wanted.items():
        torch.testing.assert_close(written[name], each, rtol=0, atol=1e-6)
    family = family_of(root, "merge")
    module, placement = load_module(family.base, "cpu", torch.float32)
    live = MergedModel(module, placement)
    live.write(METHODS["task_arithmetic"].build(Tensors(family)), COEFFICIENTS, nothing)
    state = state_of(module)
    for name, part in placement.parts.items():
        torch.testing.assert_close(part.of(state[part.target]), wanted[name], rtol=0, atol=1e-6)
    text = family_of(root)
    assert family_fingerprint(family, tmp_path) != family_fingerprint(text, tmp_path)


def test_text_class_of_a_checkpoint_with_towers(tmp_path: Path) -> None:
    """transformers runs the text of Llama 4 by a class that does not load the other towers."""
    root = write_class(tmp_path, "llama4", whole=True)
    family = family_of(root)
    assert family.base.towers
    module, placement = load_module(family.base, "cpu", torch.float32)
    assert set(placement.unused) == family.base.towers
    live = MergedModel(module, placement)
    basis = METHODS["task_arithmetic"].build(Tensors(family))
    live.write(basis, COEFFICIENTS, nothing)
    merge_to(tmp_path / "out", basis, lambda _: COEFFICIENTS)
    base, written = stored_in(root / "base"), stored_in(tmp_path / "out")
    assert written.keys() == base.keys()
    assert all(torch.equal(written[name], base[name]) for name in family.base.towers)
    torch.testing.assert_close(logits(module), plain(tmp_path / "out"), rtol=0, atol=1e-5)


def test_a_tensor_without_a_place_is_never_skipped(tmp_path: Path) -> None:
    root = write_class(tmp_path, "gpt_neox")
    module, placement = load_module(family_of(root).base, "cpu", torch.float32)
    name = "embed_out.weight"
    less = {key: part for key, part in placement.parts.items() if key != name}
    live = MergedModel(module, Placement(less, ()))
    basis = METHODS["task_arithmetic"].build(Tensors(family_of(root)))
    with pytest.raises(ValueError, match=name):
        live.write(basis, COEFFICIENTS, nothing)


def test_rows_that_only_an_expert_has(tmp_path: Path) -> None:
    """Gemma 4 has a second embedding, with rows of its own, that grows with the first."""
    rows = {"vocab_size": 101, "vocab_size_per_layer_input": 101}
    write_class(tmp_path / "small", "gemma4_text")
    write_class(tmp_path / "large", "gemma4_text", **rows)
    spec = FamilySpec(tmp_path / "small" / "base", {"a": tmp_path / "large" / "a"})
    family = open_family(spec, text=False)
    module, placement = load_module(family.base, "cpu", torch.float32)
    resize_rows(module, family.merged_rows)
    live = MergedModel(module, placement)
    basis = METHODS["task_arithmetic"].build(Tensors(family))
    live.write(basis, {"a": 0.4}, nothing)
    merge_to(tmp_path / "out", basis, lambda _: {"a": 0.4})
    found = logits(module)
    assert found.shape[-1] == 101
    torch.testing.assert_close(found, plain(tmp_path / "out"), rtol=0, atol=1e-5)


# peft asks transformers for a property that it has renamed
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_adapter_by_the_names_of_the_live_module(tmp_path: Path) -> None:
    """peft names layers as the live module does: not what a checkpoint with towers calls them."""
    from peft import LoraConfig, get_peft_model

    root = write_class(tmp_path, "gemma3")
    module = AutoModelForCausalLM.from_pretrained(root / "base", dtype=torch.float32)
    targets = r".*language_model.*(q_proj|down_proj)"
    wrapped = get_peft_model(module, LoraConfig(r=4, target_modules=targets))
    with torch.no_grad():
        for name, each in wrapped.named_parameters():
            if "lora_" in name:
                each.normal_(0, 0.3)
    shutil.rmtree(root / "a")
    wrapped.save_pretrained(root / "a")
    expected = logits(wrapped.merge_and_unload())
    family = open_family(FamilySpec(root / "base", {"a": root / "a"}), text=False)
    live = MergedModel(*load_module(family.base, "cpu", torch.float32))
    start = logits(live.module)
    basis = METHODS["task_arithmetic"].build(Tensors(family))
    live.write(basis, {"a": 1.0}, nothing)
    assert (start - expected).abs().max() > 1e-2
    torch.testing.assert_close(logits(live.module), expected, rtol=0, atol=2e-5)
