"""A configuration of any transformers class shrunk to a tiny one of the same structure.

    config.json, or a class's defaults          tiny
    hidden 4096, 32 heads of 8, 48 layers       hidden 64, 4 heads of 2, a layer of each kind
    sliding window 4096, chunks of 256          8 and 8, so that short texts pass them
    128 experts, 8 a token                      4 experts, 2 a token

What a class does (its caches, its padding, what it renames on load) shows in a model of a few
thousand numbers as in the whole one, and trying it takes a second. Every number is shrunk by what
it counts, which its name says; flags, factors and activations stay. No class is known by name: a
number whose name says nothing here passes unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from engine.family.tiny_layers import few_layers

HIDDEN = 64
HEADS = 4
HEAD = 16
WINDOW = 8
VOCABULARY = 96
POSITIONS = 512

_WIDTHS = (
    "hidden_size", "n_embd", "d_model", "emb_dim", "embed_dim", "embedding_dim", "hidden_dim",
    "dim",
)  # fmt: skip
"""Names of the width of the residual stream, the usual one first."""

_SMALL: Mapping[str, int] = {
    "q_lora_rank": 24, "kv_lora_rank": 16, "o_lora_rank": 16, "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 16, "qk_head_dim": 24, "v_head_dim": 16, "index_head_dim": 16,
    "indexer_head_dim": HEAD,
    "index_topk": 4, "index_n_heads": 16, "index_block_size": 4, "index_topk_blocks": 2,
    "keep_window_size": POSITIONS,
    "attention_chunk_size": WINDOW, "chunk_size": WINDOW, "mamba_chunk_size": WINDOW,
    "block_size": WINDOW, "rel_extent": WINDOW, "mamba_d_state": 8, "state_size": 8,
    "ssm_state_size": 8, "time_step_rank": 4, "mamba_dt_rank": 4, "mamba_ngroups": 2,
    "n_groups": 2, "mamba_n_groups": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 16,
    "linear_head_dim": 16, "linear_num_key_heads": 2, "linear_num_value_heads": 4,
    "linear_num_heads": 4, "laurel_rank": 8, "adapter_rank": 8, "o_groups": 2, "rotary_dim": 8,
    "hidden_size_per_layer_input": 16, "router_hidden_size": 16, "hc_lowrank": 8,
    "gated_norm_rank": 8, "n_group": 2, "num_expert_group": 2, "topk_group": 1,
    "zero_expert_num": 2, "ngram_vocab_size_base": 64, "split_ngram_parts": 2,
    "ple_embed_dim": 16, "encoder_hash_byte_group_vocab": 64, "num_experts_per_tok": 2,
    "num_experts_per_token": 2, "moe_k": 2, "moe_topk": 2, "moe_top_k": 2, "top_k_experts": 2,
    "mamba_d_head": HEAD, "mamba_head_dim": HEAD, "mamba_headdim": HEAD, "head_dim": HEAD,
    "swa_head_dim": HEAD, "kv_channels": HEAD, "attention_head_dim": 2 * HEAD,
    "attention_head_size": HEAD, "d_kv": HEAD, "d_head": HEAD, "dim_head": HEAD,
    "position_bias_num_buckets": 32, "pronunciation_vocab_size": 32, "shape_vocab_size": 32,
    "image_size": 32, "num_image_tokens": 4, "index_kpool": 2, "out_hidden_size": HIDDEN,
    "text_hidden_size": HIDDEN,
}  # fmt: skip
"""Sizes that stand alone; each is only ever made smaller."""

_VOCABULARIES = re.compile(r"(?:^|_)vocab_size(?:_per_layer_input)?$")
_TOKENS = re.compile(r"(?:^|_)token_(?:ids?|index)$|(?:image|video|audio|mask|unk)_(?:id|index)$")
_KEY_HEADS = re.compile(r"(?:key_value|kv)_heads$|^kv_n_heads$|^num_query_groups$")
_HEADS = re.compile(r"(?:^|_)heads(?:_per_layer)?$|^n_head$")
_EXPERTS = re.compile(r"^(?:moe_)?(?:n_|num_)?(?:routed_|local_)?experts$")
_WINDOWS = re.compile(r"sliding_window(?:_size)?$|window_size$|local_attention$|window_len$")
_INNER = re.compile(
    r"(?:^|_)(?:intermediate|inner|ffn|mlp|feed_forward|dff|ff|expert)(?:_|$)|^moe_hidden_size$"
)
_WIDE = re.compile(r"_(?:size|dim|width)$|^lru_width$")
_POSITIONS = re.compile(
    r"(?:^|_)positions?(?:_embeddings)?$|^max_seq_len$|^n_ctx$|^context_length$"
)

_MAMBA = (
    ("mamba_n_heads", "mamba_d_head", "mamba_expand"),
    ("mamba_num_heads", "mamba_head_dim", "expand"),
    ("n_mamba_heads", "mamba_headdim", "mamba_expand"),
    ("num_heads", "head_dim", "expand"),
)
"""(heads, width of one, factor): heads × width must be factor × hidden."""


def tiny_document(full: Mapping[str, Any], vocabulary: int = VOCABULARY) -> dict[str, Any]:
    """The tiny configuration.

    Args:
        full: a configuration with every default filled in, as `PretrainedConfig.to_dict` gives it.
        vocabulary: rows of the embeddings. Special ids beyond it come to lie in its last eighth.

    Returns:
        The same keys; nested configurations (a text part, a tower) shrunk likewise.
    """
    if "qk_dim_factor" in full:  # heads of a width rounded up to a multiple of 64
        full = {**full, "qk_dim_factor": 1.0}
    tiny = {key: _shrunk(key, value, full, vocabulary) for key, value in few_layers(full).items()}
    for heads, head, factor in _MAMBA:
        if type(full.get(heads)) is int and type(full.get(factor)) is int and full.get(head):
            tiny[heads] = tiny[factor] * HIDDEN // tiny[head]
    if type(full.get("mamba_d_ssm")) is int:
        tiny["mamba_d_ssm"] = tiny["mamba_n_heads"] * tiny["mamba_d_head"]
    if type(full.get("head_dim")) is int and full.get("qk_rope_head_dim"):
        tiny["head_dim"] = _latent_head(full, tiny)
    for layer, own in (tiny.get("per_layer_config") or {}).items():
        if "qk_nope_head_dim" in own and "head_dim" not in own:
            whole = {**full, **few_layers(full)["per_layer_config"][layer]}
            tiny["head_dim"] = _latent_head(whole, {**tiny, **own})
    return tiny


def _latent_head(full: Mapping[str, Any], tiny: Mapping[str, Any]) -> int:
    """`head_dim` beside latent attention: the rotary part, or both parts, as in the original."""
    rotary, rest = "qk_rope_head_dim", "qk_nope_head_dim"
    if full["head_dim"] == full[rotary]:
        return tiny[rotary]
    if full["head_dim"] == full[rotary] + full.get(rest, 0):
        return tiny[rotary] + tiny[rest]
    return tiny["head_dim"]


def _shrunk(key: str, value: Any, full: Mapping[str, Any], vocabulary: int) -> Any:
    if isinstance(value, Mapping):
        if "model_type" in value:
            return tiny_document(value, vocabulary)
        if key == "per_layer_config":
            return {
                layer: {k: _own(k, v, {**full, **own}, full, vocabulary) for k, v in own.items()}
                for layer, own in value.items()
            }
        if key in ("rope_parameters", "rope_scaling"):
            return _rope(value, full)
        return value
    if isinstance(value, list):
        return [
            _number(key, each, full, vocabulary) if type(each) is int else each for each in value
        ]
    return _number(key, value, full, vocabulary) if type(value) is int else value


def _own(
    key: str, value: Any, layer: Mapping[str, Any], full: Mapping[str, Any], vocabulary: int
) -> Any:
    """A layer's own number, still other than that of all layers."""
    own = _shrunk(key, value, layer, vocabulary)
    usual = _shrunk(key, full.get(key), full, vocabulary)
    return 2 * own if type(own) is int and own == usual and value != full.get(key) else own


def _number(key: str, value: int, full: Mapping[str, Any], vocabulary: int) -> int:
    if _VOCABULARIES.search(key) and value > 16:
        return vocabulary
    if _TOKENS.search(key):
        eighth = vocabulary // 8
        return value if value < vocabulary - eighth else vocabulary - 1 - value % eighth
    if value <= 1:
        return value
    if key in _SMALL:
        return min(value, _SMALL[key])
    if _WINDOWS.search(key):
        return min(value, WINDOW)
    if _KEY_HEADS.search(key):
        heads = full.get("num_attention_heads", full.get("n_heads"))
        return HEADS if value == heads else 2
    if _HEADS.search(key):
        return min(value, HEADS)
    if _EXPERTS.search(key):
        return min(value, 4)
    if _INNER.search(key):
        return min(value, 2 * HIDDEN)
    if key in _WIDTHS:
        return min(value, HIDDEN)
    if _POSITIONS.search(key):
        return min(value, POSITIONS)
    if value < HIDDEN or not _WIDE.search(key):
        return value
    width = next((full[each] for each in _WIDTHS if type(full.get(each)) is int), 0)
    share = min(value / width, 4) if width else 2  # of the stream
    return min(value, max(8, round(HIDDEN * share / 8) * 8))


def _rope(value: Mapping[str, Any], full: Mapping[str, Any]) -> dict[str, Any]:
    """Rotary settings: one factor a pair of dimensions, and how many pairs each section has."""
    tiny: dict[str, Any] = {}
    for key, each in value.items():
        if isinstance(each, Mapping):
            tiny[key] = _rope(each, full)
        elif key in ("short_factor", "long_factor") and isinstance(each, list):
            share = value.get("partial_rotary_factor", full.get("partial_rotary_factor")) or 1.0
            tiny[key] = each[: int(HEAD * share) // 2]
        elif key == "mrope_section" and isinstance(each, list) and sum(each):
            share = value.get("partial_rotary_factor", full.get("partial_rotary_factor")) or 1.0
            pairs = int(HEAD * share) // 2
            rest = [max(1, section * pairs // sum(each)) for section in each[1:]]
            tiny[key] = [pairs - sum(rest), *rest]
        elif key == "original_max_position_embeddings" and type(each) is int:
            tiny[key] = min(each, 64)
        else:
            tiny[key] = each
    return tiny
