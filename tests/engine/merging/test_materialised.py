"""Merged adapters on disk: what is kept, when it is rebuilt; and classes that rename weights."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

from engine.compose import Composer
from engine.errors import BadInput, IncompatibleFamily
from engine.family.checkpoint import open_checkpoint
from engine.family.compatibility import open_family
from engine.family.fingerprint import fingerprints
from engine.family.placing import place_adapter
from engine.merging import materialised
from engine.merging.materialised import FOLDER, KEPT, Materialised, merged_tensors
from engine.recipe import Recipe, resolve
from engine.study import FamilySpec
from tests import adapters

IDS = torch.randint(5, 300, (2, 12), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return adapters.build_base(tmp_path_factory.mktemp("adapters") / "base")


@pytest.fixture(scope="module")
def dora(base: Path) -> Path:
    return adapters.write(base, base.parent / "dora", "DoRA")


def test_only_what_changed_is_kept(base: Path, dora: Path) -> None:
    zero = open_checkpoint(base)
    expert = place_adapter(zero, open_checkpoint(dora, "x"))
    changed = merged_tensors(zero, expert)
    assert sorted(changed) == [
        f"model.layers.{layer}.self_attn.{each}_proj.weight" for layer in range(2) for each in "qv"
    ]
    theirs = adapters.merged_by_peft(base, dora).state_dict()
    assert all(torch.equal(each, theirs[name]) for name, each in changed.items())
    found = Materialised(zero).expert(expert)
    assert (found.kind, found.adapter, found.config) == ("full", None, zero.config)
    assert found.tensors.keys() == zero.tensors.keys()
    assert sum(info.file != zero.tensors[name].file for name, info in found.tensors.items()) == 4


def test_a_workspace_keeps_it_and_watches_over_it(
    base: Path,
    dora: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    family = open_family(FamilySpec(base, {"x": dora}))
    made: list[str] = []
    merge: Callable[..., Any] = materialised.merged_tensors
    monkeypatch.setattr(
        materialised, "merged_tensors", lambda *given: made.append("made") or merge(*given)
    )

    def read() -> Path:
        known = fingerprints(family, tmp_path)
        expert = Materialised(family.base, tmp_path, known).expert(family.experts["x"])
        (file,) = {info.file for info in expert.tensors.values()} - {*family.base.files}
        return file

    file = read()
    assert file.parent == tmp_path / FOLDER and read() == file and made == ["made"]
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        assert read() == file
    assert made == ["made"] * 2 and "is damaged" in caplog.text
    file.with_suffix(".sha256").unlink()
    assert read() == file and made == ["made"] * 3
    for index in range(KEPT + 3):
        old = tmp_path / FOLDER / f"old{index}.safetensors"
        old.write_bytes(b"")
        os.utime(old, (index, index))
    file.unlink()
    assert read().exists()
    assert len([*(tmp_path / FOLDER).glob("*.safetensors")]) == KEPT


def test_a_temporary_directory_goes_with_its_readers(base: Path, dora: Path) -> None:
    left = Path(tempfile.gettempdir()) / "paretoscope-adapters-4194305-killed"
    left.mkdir(exist_ok=True)  # beyond the largest id that a process has
    kept = Materialised(open_checkpoint(base))
    assert not left.exists()
    place = kept.place
    assert place.is_dir()
    del kept
    assert not place.exists()


def test_what_overflows_is_told(base: Path, tmp_path: Path) -> None:
    place = adapters.write(base, tmp_path / "x", "LoHa", change=lambda a: a.update(alpha=1e60))
    zero = open_checkpoint(base)
    with pytest.raises(BadInput, match="infinite or NaN"):
        merged_tensors(zero, place_adapter(zero, open_checkpoint(place, "x")))


RENAMED: dict[str, dict[str, Any]] = {
    "gpt_neox": {},
    "mixtral": {"num_local_experts": 4, "num_key_value_heads": 2},
    "qwen3_moe": {
        "moe_intermediate_size": 24, "num_key_value_heads": 2, "head_dim": 8, "num_experts": 4,
        "num_experts_per_tok": 2,
    },
    "granitemoe": {"num_local_experts": 4, "num_key_value_heads": 2, "num_experts_per_tok": 2},
}  # fmt: skip
_SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "vocab_size": 304}
_ENDS = {"bos_token_id": 0, "eos_token_id": 4, "pad_token_id": 1, "num_attention_heads": 4}
ADAPTERS: dict[str, dict[str, Any]] = {
    "head": {"target_modules": ["lm_head"]},
    "experts": {
        "target_modules": [],
        "target_parameters": ["experts.gate_up_proj", "experts.down_proj"],
    },
    "DoRA": {"target_modules": "all-linear", "use_dora": True},
    "saved head": {"target_modules": "all-linear", "modules_to_save": ["lm_head"]},
}


@pytest.mark.parametrize(
    ("kind", "which"),
    [(k, w) for k in RENAMED for w in ADAPTERS if (k, w) != ("gpt_neox", "experts")
     and not (w in ("DoRA", "saved head") and k in ("mixtral", "qwen3_moe"))],
)  # fmt: skip
def test_classes_that_rename_and_stack(kind: str, which: str, tmp_path: Path) -> None:
    """The head of a class that calls it otherwise, and experts that are one parameter."""
    base, place = tmp_path / "base", tmp_path / "x"
    with adapters.quiet():
        config = AutoConfig.for_model(kind, **_SIZES, **_ENDS, **RENAMED[kind])
        module = AutoModelForCausalLM.from_config(config)
        adapters._scaled(module, 1)
        module.save_pretrained(base)
        adapters.build_tokenizer(base)
        adapted = get_peft_model(adapters.load(base), LoraConfig(r=2, **ADAPTERS[which]))
        generator = torch.Generator().manual_seed(2)
        with torch.no_grad():
            for parameter in adapted.parameters():
                if parameter.requires_grad:
                    parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.15)
        adapted.save_pretrained(place)
    composer = Composer(open_family(FamilySpec(base, {"half": place})), device="cpu")
    live = adapters.logits(adapters.under_peft(base, place), IDS)
    merged = adapters.logits(adapters.merged_by_peft(base, place), IDS)
    for method, c, wanted in (
        ("single", {}, live),
        ("linear", {"half": 1.0}, merged),
        ("task_arithmetic", {"half": 1.0}, merged),
    ):
        parameters = {"model": "half"} if method == "single" else {}
        recipe = resolve(Recipe(method, c, parameters), composer.family.names)
        found = adapters.logits(composer.compose(recipe).modules[0], IDS)
        torch.testing.assert_close(found, wanted, rtol=0, atol=3e-5, msg=method)


def test_a_raw_state_dict_has_no_class_to_merge_in(base: Path, dora: Path, tmp_path: Path) -> None:
    raw = tmp_path / "base.safetensors"
    raw.write_bytes((base / "model.safetensors").read_bytes())
    with pytest.raises(
        IncompatibleFamily, match="this DoRA, and a raw state dict does not name a class"
    ):
        open_family(FamilySpec(raw, {"x": dora}), text=False)
