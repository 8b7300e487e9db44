"""One spelling: what peft saves, and every other layout of the same names, and combinations."""

from __future__ import annotations

import itertools

import pytest

from engine.family.adapter_names import read_names
from engine.family.peft_types import USABLE

LORA = USABLE["LORA"]
MODULE = "model.layers.0.self_attn.q_proj"
WANTED = {f"{MODULE}.lora_A.weight", f"{MODULE}.lora_B.weight"}
FRONTS = (
    "base_model.model.",
    "base_model.model.base_model.model.",
    "",
    "module.base_model.model.",
    "_orig_mod.base_model.model.",
    "base_model.model.module._orig_mod.",
)
ADAPTERS = ("", ".default", ".train", ".lora_A", ".weight", ".base_layer")


@pytest.mark.parametrize(
    ("front", "adapter", "end"),
    list(itertools.product(FRONTS, ADAPTERS, (".weight", ""))),
)
def test_every_layout_of_a_lora(front: str, adapter: str, end: str) -> None:
    names = [f"{front}{MODULE}.{part}{adapter}{end}" for part in ("lora_A", "lora_B")]
    read, inside = read_names(names, LORA)
    assert {each.name for each in read.values()} == WANTED
    assert {each.module for each in read.values()} == {MODULE}
    assert len(read) == 2 and len(inside) <= 1


@pytest.mark.parametrize(
    ("kind", "name", "wanted"),
    [
        ("LORA", "wte.lora_embedding_A.default", "wte.lora_embedding_A"),
        ("LORA", "q.lora_magnitude_vector.default.weight", "q.lora_magnitude_vector"),
        ("LORA", "q.lora_B.default.bias", "q.lora_B.bias"),
        ("ADALORA", "q.lora_E.default", "q.lora_E"),
        ("ADALORA", "q.lora_A", "q.lora_A"),
        ("GLORA", "q.glora_A.default.Xd", "q.glora_A.Xd"),
        ("GLORA", "q.glora_A.Xd", "q.glora_A.Xd"),
        ("OFT", "q.oft_R.default.weight", "q.oft_R.weight"),
        ("PEANUT", "q.peanut_encoders.default.0.weight", "q.peanut_encoders.0.weight"),
        ("PEANUT", "q.peanut_encoders.1.weight", "q.peanut_encoders.1.weight"),
        ("VERA", "base_model.model.base_model.vera_A.default", "base_model.vera_A"),
        ("FROD", "base_model.frod_V.self_attn_q.default", "base_model.frod_V.self_attn_q"),
        ("TINYLORA", "base_model.tinylora_v.default.0", "base_model.tinylora_v.0"),
        ("RANDLORA", "base_model.randlora_A", "base_model.randlora_A"),
        ("RANDLORA", "q.k.randlora_A", "q.k.randlora_A"),
        ("LORA", "head.modules_to_save.default.weight", "head.weight"),
        ("LORA", "head.modules_to_save.weight", "head.weight"),
        ("LORA", "q.base_layer.bias", "q.bias"),
        ("LORA", "e.token_adapter.trainable_tokens_delta", "e.trainable_tokens_delta"),
        ("LORA", "mlp.experts.base_layer.lora_A.weight", "mlp.experts.base_layer.lora_A.weight"),
    ],
)
def test_other_types_and_other_tensors(kind: str, name: str, wanted: str) -> None:
    read, _ = read_names([name], USABLE[kind])
    assert read[name].name == wanted


def test_the_name_of_the_adapter_tells_what_was_saved_with_it() -> None:
    names = ["q.lora_A.mine.weight", "mlp.modules_to_save.mine.c_fc.weight"]
    read, inside = read_names(names, LORA)
    assert inside == ("mine",) and read[names[1]].name == "mlp.c_fc.weight"


def test_untouched_copies_are_told_apart() -> None:
    names = ["head.original_module.weight", "head.modules_to_save.weight"]
    read, _ = read_names(names, LORA)
    assert [read[name].kept for name in names] == [True, False]


def test_two_adapters_in_one_file() -> None:
    assert read_names(["q.lora_A.a.weight", "q.lora_A.b.weight"], LORA)[1] == ("a", "b")


@pytest.mark.parametrize("name", ["q.lora_A.a.b.weight", "weight", "base_model.vera_A"])
def test_what_belongs_to_no_lora(name: str) -> None:
    assert read_names([name], LORA)[0] == {}
