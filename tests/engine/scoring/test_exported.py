"""The size of an export against llama.cpp's own figures, and by hand."""

from __future__ import annotations

import math

import pytest

from engine.scoring.exported import BLOCKS, Stored, bits, gguf_type, more_bits, total_bits

Tensors = list[tuple[str, tuple[int, ...]]]


def llama(hidden: int, mlp: int, rows: int, layers: int, kv: int, tied: bool = False) -> Tensors:
    found: Tensors = [
        ("model.embed_tokens.weight", (rows, hidden)),
        ("model.norm.weight", (hidden,)),
    ]
    found += [] if tied else [("lm_head.weight", (rows, hidden))]
    for layer in range(layers):
        at = f"model.layers.{layer}."
        found += [
            (f"{at}self_attn.q_proj.weight", (hidden, hidden)),
            (f"{at}self_attn.k_proj.weight", (kv, hidden)),
            (f"{at}self_attn.v_proj.weight", (kv, hidden)),
            (f"{at}self_attn.o_proj.weight", (hidden, hidden)),
            (f"{at}mlp.gate_proj.weight", (mlp, hidden)),
            (f"{at}mlp.up_proj.weight", (mlp, hidden)),
            (f"{at}mlp.down_proj.weight", (hidden, mlp)),
            (f"{at}input_layernorm.weight", (hidden,)),
            (f"{at}post_attention_layernorm.weight", (hidden,)),
        ]
    return found


LLAMA_3_8B = llama(4096, 14336, 128256, 32, 1024)
LLAMA_2_7B = llama(4096, 11008, 32000, 32, 4096)


@pytest.mark.parametrize(
    ("model", "quantisation", "said", "off"),
    # bits per weight, as llama.cpp's tools/quantize/README.md lists them
    [
        (LLAMA_3_8B, "q8_0", 8.5008, 5e-5),
        (LLAMA_3_8B, "q6_k", 6.5633, 5e-5),
        (LLAMA_3_8B, "q4_k_m", 4.8944, 5e-5),
        (LLAMA_2_7B, "q6_k", 6.56, 5e-3),
        (LLAMA_2_7B, "q4_k_m", 4.84, 5e-3),
    ],
)
def test_llama_cpp_says_the_same(
    model: Tensors, quantisation: str, said: float, off: float
) -> None:
    count = sum(math.prod(shape) for _, shape in model)
    assert total_bits(model, quantisation) / count == pytest.approx(said, abs=off)


def test_blocks_are_those_of_gguf() -> None:
    """gguf 0.x: GGML_QUANT_SIZES."""
    assert BLOCKS == {
        "F32": (1, 4), "F16": (1, 2), "Q4_0": (32, 18), "Q5_0": (32, 22), "Q5_1": (32, 24),
        "Q8_0": (32, 34), "Q4_K": (256, 144), "Q5_K": (256, 176), "Q6_K": (256, 210),
    }  # fmt: skip
    more = [layer for layer in range(28) if more_bits(layer, 28)]
    assert more == [0, 1, 2, 5, 8, 11, 14, 17, 20, 23, 24, 25, 26, 27]


@pytest.mark.parametrize(
    ("name", "shape", "kind", "found"),
    [
        ("model.layers.0.self_attn.v_proj.weight", (64, 64), "q4_k_m", "Q8_0"),  # Q6_K has no fit
        ("model.layers.0.self_attn.q_proj.weight", (64, 64), "q4_k_m", "Q5_0"),
        ("model.layers.0.self_attn.q_proj.weight", (64, 100), "q4_k_m", "F16"),
        ("transformer.h.3.attn.c_attn.weight", (768, 768), "q4_k_m", "Q5_K"),
        ("model.layers.3.self_attn.v_proj.weight", (256, 256), "q4_k_m", "Q4_K"),
        ("model.layers.3.input_layernorm.weight", (256,), "q4_0", "F32"),
        ("model.embed_tokens.weight", (90, 256), "q4_0", "Q6_K"),  # the head too
        ("lm_head.weight", (90, 64), "q4_0", "Q8_0"),
    ],
)
def test_a_row_that_no_block_fits_falls_back(
    name: str, shape: tuple[int, ...], kind: str, found: str
) -> None:
    assert gguf_type(name, shape, 16, True, kind) == found


def test_int8_and_mixtures_by_hand() -> None:
    model = (
        ("model.embed_tokens.weight", (10, 4)),
        ("a.q_proj.weight", (6, 4)),
        ("n.weight", (4,)),
    )
    assert total_bits(model, "int8") == 16 * 40 + (8 * 24 + 32 * 6) + 16 * 4
    assert total_bits(model, "bfloat16") == 16 * 68
    assert bits(Stored((model, model), 68), None, quantisation="float32") == 64.0
