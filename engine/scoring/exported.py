"""How large an export is: bits of every tensor under a quantisation, from names and shapes alone.

    GGUF    a row of a matrix is cut into blocks, each with scales of its own; vectors stay float32
    int8    matrices of linear layers: a byte a weight and a float32 scale a row (LLM.int8(), arXiv
            2208.07339); the rest is float16

Which tensor gets which GGUF type is llama.cpp's rule (`llama_tensor_get_type` in llama-quant.cpp,
without an importance matrix): the output projection, or the embedding that is one, is Q6_K; in
Q4_K_M values and down projections are Q6_K in the first and the last eighth of the layers and in
every third between, and a fused query, key and value is Q5_K. Rows that no block of 256 fits fall
back to Q5_0, Q5_1 or Q8_0, and those that none of 32 fits to float16. Metadata, tokenizer and
padding are not counted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from engine.parameter import Says
from engine.scoring.registry import scorer

if TYPE_CHECKING:
    from engine.scoring.plan import Scored

BLOCKS: dict[str, tuple[int, int]] = {
    "F32": (1, 4), "F16": (1, 2), "Q4_0": (32, 18), "Q5_0": (32, 22), "Q5_1": (32, 24),
    "Q8_0": (32, 34), "Q4_K": (256, 144), "Q5_K": (256, 176), "Q6_K": (256, 210),
}  # fmt: skip
"""GGUF type -> weights of a block and its bytes (ggml-common.h)."""

INSTEAD = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}
"""What a row is whose length is no multiple of 256."""

_PLAIN = {"float32": 32, "float16": 16, "bfloat16": 16}
_TYPES = {"q8_0": "Q8_0", "q6_k": "Q6_K", "q4_k_m": "Q4_K", "q4_0": "Q4_0"}
_EMBEDDING = re.compile(r"(?:^|\.)(?:embed_tokens|wte|word_embeddings|embed_in|tok_embeddings)\.")
_HEAD = re.compile(r"(?:^|\.)(?:lm_head|embed_out|output_projection)\.weight$")
_KEPT = re.compile(r"(?:^|\.)(?:wpe|embed_positions|position_embeddings|conv1d|router|mlp\.gate)\.")
_VALUE = re.compile(r"\.(?:v_proj|value|wv)\.weight$")
_FUSED = re.compile(r"\.(?:qkv_proj|query_key_value|c_attn|Wqkv|W_pack)\.weight$")
_DOWN = re.compile(r"\.(?:down_proj|fc2|dense_4h_to_h|w2|mlp\.c_proj|linear_out)(?:\.weight)?$")
_LAYER = re.compile(r"\.(\d+)\.")


@dataclass(frozen=True)
class Stored:
    """What an export holds.

    Attributes:
        models: of each model its tensors, as (name, shape); a tied one once, what is shared between
            models with the first.
        base: parameters of the base.
    """

    models: tuple[tuple[tuple[str, tuple[int, ...]], ...], ...]
    base: int


def stored_tensors(model: Scored, base: int) -> Stored:
    """The tensors of a composed model's export: the merged weights, or every model of a mixture
    with its adapter.

    Args:
        base: parameters of the base.
    """
    seen: set[int] = set()
    models = []
    for module in model.modules:
        found = []
        for name, parameter in module.named_parameters():
            adapter = ".lora_" in name
            # merged into the weights, unless the models stay apart
            if (adapter and model.mixture is None) or parameter.data_ptr() in seen:
                continue
            if parameter.numel():
                seen.add(parameter.data_ptr())
            found.append((name.replace(".base_layer.", "."), tuple(parameter.shape)))
        models.append(tuple(found))
    return Stored(tuple(models), base)


def more_bits(layer: int, layers: int) -> bool:
    """Whether llama.cpp's mixtures give a layer more bits."""
    eighth = layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2


def gguf_type(name: str, shape: Sequence[int], layers: int, tied: bool, kind: str) -> str:
    """The GGUF type of a tensor.

    Args:
        layers: how many the model has.
        tied: whether its embedding is its output projection too.
        kind: "q8_0", "q6_k", "q4_k_m" or "q4_0".
    """
    if len(shape) < 2 or _KEPT.search(name):
        return "F32"
    if ".lora_" in name:
        return "F16"
    chosen, width = _TYPES[kind], shape[-1]
    if _HEAD.search(name) or (tied and _EMBEDDING.search(name)):
        if chosen != "Q8_0":
            chosen = "Q8_0" if width % 256 else "Q6_K"
    elif kind == "q4_k_m" and (place := _LAYER.search(name)):
        if _FUSED.search(name):
            chosen = "Q5_K"
        elif (_VALUE.search(name) or _DOWN.search(name)) and more_bits(int(place[1]), layers):
            chosen = "Q6_K"
    if width % BLOCKS[chosen][0]:
        chosen = INSTEAD.get(chosen, "F16")
    return "F16" if width % BLOCKS[chosen][0] else chosen


def _layers(tensors: Sequence[tuple[str, tuple[int, ...]]]) -> int:
    return 1 + max(
        (int(found[1]) for name, _ in tensors if (found := _LAYER.search(name))), default=0
    )


def total_bits(tensors: Sequence[tuple[str, tuple[int, ...]]], quantisation: str) -> int:
    """Bits of one model's tensors, as (name, shape)."""
    tied = not any(_HEAD.search(name) for name, _ in tensors)
    layers, total = _layers(tensors), 0
    for name, shape in tensors:
        count = math.prod(shape)
        if quantisation in _PLAIN:
            total += count * _PLAIN[quantisation]
        elif quantisation == "int8":
            outside = len(shape) < 2 or _EMBEDDING.search(name) or _HEAD.search(name)
            if outside or _KEPT.search(name) or ".lora_" in name:
                total += 16 * count
            else:
                total += 8 * count + 32 * (count // shape[-1])
        else:
            weights, size = BLOCKS[gguf_type(name, shape, layers, tied, quantisation)]
            total += 8 * size * (count // weights)
    return total


@scorer(
    kind="size",
    direction="minimize",
    mean="mean",
    needs="nothing",
    summary="bits of the export under a quantisation ÷ the base's parameters: bits per weight, of "
    "every model that a mixture runs; counted from shapes, not estimated",
    unit="bits per parameter of the base",
    source="block formats and type rules of llama.cpp (GGUF); LLM.int8() (arXiv 2208.07339)",
    least=0.0,
)
def bits(
    stored: Stored,
    row: None,
    *,
    quantisation: Annotated[
        Literal["float32", "float16", "bfloat16", "int8", "q8_0", "q6_k", "q4_k_m", "q4_0"],
        Says(
            "How the export is stored; nothing is quantised, and the scores are of the weights as "
            "they are.",
            float32="32 bits each",
            float16="16 bits each",
            bfloat16="16 bits each",
            int8="linear layers 8 bits and a scale a row, the rest float16 (LLM.int8())",
            q8_0="GGUF: blocks of 32, 8.5 bits",
            q6_k="GGUF: blocks of 256, 6.5625 bits",
            q4_k_m="GGUF: 4.5 bits, 6.5625 where llama.cpp's mixture wants more",
            q4_0="GGUF: blocks of 32, 4.5 bits; the output projection 6.5625",
        ),
    ] = "q4_k_m",
) -> float:
    return math.fsum(total_bits(each, quantisation) for each in stored.models) / stored.base
