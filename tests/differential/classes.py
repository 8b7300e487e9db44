"""Every causal class of the installed transformers, each as a tiny family on disk.

    base      random weights                    written by transformers itself, in the names that
    north     base + noise, seed 1              checkpoints of this class have
    south     base + noise, seed 2

A class is named by its model type, or by type and variant where one type holds behaviours that its
defaults do not show ("falcon alibi").
"""

from __future__ import annotations

import atexit
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch

from engine.family.tiny import tiny_document
from engine.family.tiny_model import randomise
from engine.unfinished import drop, make_temporary
from tests import families

VOCABULARY = 304
NOISE = 0.25
"""Of an expert, in parts of the base's own spread, tensor by tensor."""

_CYCLE = {"full_attention": {"rope_type": "default", "rope_theta": 1e4},
          "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}  # fmt: skip

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    # what published models of the class have and its defaults leave out
    "bamba": {"attn_layer_indices": [9, 18, 27]},
    "cohere_compass_text": {"rope_parameters": _CYCLE},
    "dbrx": {"attn_config": {"rope_theta": 1e4, "clip_qkv": 8.0}},
    "deepseek_v2": {"num_experts_per_tok": 2},
    "dots1": {"n_shared_experts": 1, "n_routed_experts": 8, "num_experts_per_tok": 2},
    "granitemoehybrid": {"layer_types": ["linear_attention", "full_attention"] * 16},
    "hunyuan_v1_dense": {"head_dim": 128},
    "hunyuan_v1_moe": {"head_dim": 128},
    "lfm2": {"layer_types": ["conv", "full_attention"] * 16},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"] * 16},
    "ministral": {"head_dim": 128},
    "nemotron": {"num_key_value_heads": 8},
    "qwen4_exp_text": {
        "indexer_n_heads": 2, "indexer_kv_heads": 1, "indexer_head_dim": 256, "indexer_budget": 8,
        "indexer_compress_ratio": 2,
    },
    "xmod": {"default_language": "en_XX"},
}  # fmt: skip

_DECODERS = (
    "bert", "bert-generation", "big_bird", "camembert", "data2vec-text", "electra", "ernie",
    "megatron-bert", "reformer", "rembert", "roberta", "roberta-prelayernorm", "roc_bert",
    "roformer", "xlm-roberta", "xlm-roberta-xl", "xmod", "git",
)  # fmt: skip
"""Encoders by default, decoders with `is_decoder: true`."""


def _sections(sections: list[int], **more: float) -> dict[str, Any]:
    """A text part whose rotary dimensions count time, height and width."""
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": sections, **more}
    return {"text_config": {"rope_parameters": rope}}


_GLM = _sections([8, 12, 12], partial_rotary_factor=0.5)
_QWEN = _sections([16, 24, 24])
SETTINGS_WITH_TOWERS: Mapping[str, Mapping[str, Any]] = {
    "cohere_compass": {"text_config": {"rope_parameters": _CYCLE}},
    "glm46v": _GLM,
    "glm4v": _GLM,
    "glm4v_moe": _GLM,
    "glm_ocr": _GLM,
    "glmga": _GLM,
    "paddleocr_vl": _QWEN,
    "qwen2_5_omni_thinker": _QWEN,
    "qwen2_5_vl": _QWEN,
    "qwen2_vl": _QWEN,
    "step3p7": {"text_config": {"sliding_window": 512}},
}

_TIMM = "its towers need timm, which is not installed"
_PIXELS = "it reads no text without an image"
_DRAFTS = "it drafts for another model, whose keys and values it reads"
_DEFAULTS = "its class builds no model from its own defaults"
ABSENT: Mapping[str, str] = {
    "blt": "it reads bytes through a model of patches, not tokens",
    "emu3": "AutoModelForCausalLM makes its class of a text part alone, which no checkpoint is",
    "gemma3n": _TIMM,
    "gemma4_assistant": _DRAFTS,
    "gemma4_unified_assistant": _DRAFTS,
    "musicgen": "it writes codes of sound, several at a time",
    "musicgen_melody": "it writes codes of sound, several at a time",
    "blip": _PIXELS,
    "blip-2": _PIXELS,
    "chameleon": "its image tokens come from a vocabulary map that its defaults lack",
    "deepseek_ocr2": _PIXELS,
    "diffusion_gemma": "it writes blocks by diffusion, not token by token",
    "ernie4_5_vl_moe": _DEFAULTS,
    "fast_vlm": _TIMM,
    "granite4_vision": _DEFAULTS,
    "hunyuan_vl": _DEFAULTS,
    "idefics": _PIXELS,
    "inkling_mm_model": "its towers need scipy, which is not installed",
    "instructblip": _PIXELS,
    "instructblipvideo": _PIXELS,
    "janus": "its image decoder has sizes that no configuration names",
    "kosmos-2": _PIXELS,
    "mistral4": _DEFAULTS,
    "molmo2": _DEFAULTS,
    "muse_spark": "its sound tower has sizes that are not shrunk",
    "perception_lm": _TIMM,
    "pi0": "it moves robots",
    "pix2struct": _PIXELS,
    "pp_formulanet": _PIXELS,
    "t5gemma2": "it is an encoder and a decoder",
    "udop": "it is an encoder and a decoder",
    "vision-encoder-decoder": _PIXELS,
}
"""Types that are no rows, each with why; no tiny model of them reads text alone."""

VARIANTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "falcon alibi": ("falcon", {"alibi": True}),
    "falcon new": ("falcon", {"new_decoder_architecture": True, "num_kv_heads": 8}),
    "gemma4_text moe": (
        "gemma4_text",
        {"enable_moe_block": True, "num_experts": 8, "top_k_experts": 2,
         "moe_intermediate_size": 704},
    ),
    "gemma4_text shared": ("gemma4_text", {"num_kv_shared_layers": 10}),
    "qwen2 window": (
        "qwen2",
        {"use_sliding_window": True, "sliding_window": 4096, "max_window_layers": 16},
    ),
    "opt projected": ("opt", {"word_embed_proj_dim": 384, "do_layer_norm_before": False}),
    "doge moe": ("doge", {"is_moe": True}),
    "mpt alibi": ("mpt", {"attn_config": {"alibi": True}}),
    "stablelm parallel": ("stablelm", {"use_parallel_residual": True}),
    "gpt2 tied apart": ("gpt2", {"tie_word_embeddings": False}),
    "llama tied": ("llama", {"tie_word_embeddings": True}),
    "zamba2 rope": ("zamba2", {"use_mem_rope": True, "use_shared_attention_adapter": True}),
}  # fmt: skip
"""Name -> (model type, settings)."""


@dataclass(frozen=True)
class Class:
    """A row of the table.

    Attributes:
        name: model type and, maybe, variant.
        kind: model type.
        architecture: class of transformers.
        settings: of the configuration, beside the class's defaults.
    """

    name: str
    kind: str
    architecture: str
    settings: Mapping[str, Any] = field(default_factory=dict)


def every_class() -> dict[str, Class]:
    """The rows of the table: causal classes and their variants, then classes with towers."""
    return {**causal_classes(), **classes_with_towers()}


def classes_with_towers() -> dict[str, Class]:
    """Every class for images and text that is no causal class too."""
    from transformers.models.auto import modeling_auto

    causal = modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    found, seen = {}, set(causal.values())
    for kind, name in sorted(modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES.items()):
        if kind in causal or name in seen or kind in ABSENT:
            continue
        seen.add(name)
        found[kind] = Class(kind, kind, name, SETTINGS_WITH_TOWERS.get(kind, {}))
    return found


def causal_classes() -> dict[str, Class]:
    """Every class that the installed transformers maps to causal language models, and variants.

    Of several types with one class the text part counts, or the one that it is called after.
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as NAMES

    found: dict[str, Class] = {}
    seen: set[str] = set()

    def own(kind: str) -> tuple[bool, bool, str]:
        """A text part first, then the type that the class is called after."""
        named = NAMES[kind].lower().startswith(re.sub("[_-]", "", kind))
        return not kind.endswith("_text"), not named, kind

    for kind in sorted(NAMES, key=own):
        if NAMES[kind] in seen or kind in ABSENT:
            continue
        seen.add(NAMES[kind])
        settings = dict(SETTINGS.get(kind, {}))
        if kind in _DECODERS:
            settings["is_decoder"] = True
        found[kind] = Class(kind, kind, NAMES[kind], settings)
    for name, (kind, settings) in VARIANTS.items():
        found[name] = Class(name, kind, NAMES[kind], {**SETTINGS.get(kind, {}), **settings})
    return dict(sorted(found.items()))


def configuration(row: Class) -> Any:
    """The tiny configuration of a row; raises what the class raises."""
    from transformers import CONFIG_MAPPING

    kind = CONFIG_MAPPING[row.kind]
    config = kind.from_dict(tiny_document(kind(**row.settings).to_dict(), VOCABULARY))
    for part in (config, config.get_text_config()):
        for key, value in (("bos_token_id", 0), ("pad_token_id", 1), ("eos_token_id", 4)):
            if hasattr(part, key):
                setattr(part, key, value)
    return config


def build(row: Class) -> torch.nn.Module:
    """The base of a row, in float32; raises what the class raises."""
    import transformers

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = getattr(transformers, row.architecture)(configuration(row)).float().eval()
    randomise(model)
    _let_wander(model)
    return model.requires_grad_(False)


@torch.inference_mode()
def _let_wander(model: torch.nn.Module) -> None:
    """Shrink embeddings that outweigh the layers: a tied model would repeat its last token."""
    ids = torch.arange(20, 60)[None]
    for _ in range(4):
        logits = model(input_ids=ids, use_cache=False).logits[0]
        if float((logits.argmax(-1) == ids[0]).float().mean()) < 0.2:
            return
        embedding = model.get_input_embeddings()
        embedding.weight.data.mul_(0.5)


_TABLES = (".slope_rate", ".query_decay", ".key_decay", ".diagonal_decay")
"""Buffers of MiniMax that its class computes from the configuration; no training moves them, and
moved apart they make what a text says depend on the blocks that it is read in."""


def write_family(row: Class, root: Path) -> None:
    """Base and two experts, with a tokenizer each."""
    model = build(row)
    model.save_pretrained(root / "base")
    _finish(root / "base")
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for seed, name in enumerate(("north", "south"), 1):
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            moved = set()
            for key, tensor in model.state_dict().items():
                if key.endswith(_TABLES):
                    continue
                if tensor.is_floating_point() and tensor.data_ptr() not in moved:
                    moved.add(tensor.data_ptr())
                    spread = start[key].std() if tensor.numel() > 1 else start[key].abs().mean()
                    noise = torch.randn(tensor.shape, generator=generator)
                    tensor.copy_(start[key] + NOISE * spread * noise)
        model.save_pretrained(root / name)
        _finish(root / name)


def _finish(place: Path) -> None:
    for each in tokenizer_files():
        (place / each.name).write_bytes(each.read_bytes())
    families.write_json(place / "generation_config.json", families.GENERATION)


@cache
def tokenizer_files() -> tuple[Path, ...]:
    """The tokenizer's files, written once a process."""
    place, lock = make_temporary("tokenizer")
    atexit.register(drop, place, lock)
    families.build_tokenizer(place)
    return tuple(sorted(place.iterdir()))


def read_config(place: Path) -> dict[str, Any]:
    return json.loads((place / "config.json").read_text(encoding="utf-8"))
