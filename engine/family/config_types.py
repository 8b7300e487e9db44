"""The types and ranges of what the JSON files of a model say, checked before any of it is used.

A size is a whole number above 0, never true or "4096"; a name is a text. Where transformers' own
class has a number, a text or true and false (`classes.json`), a scalar of another kind is refused,
as transformers itself refuses it when it loads the model; null and lists are left to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from engine.errors import Problem
from engine.family.classes import class_of
from engine.family.value_types import (
    BOOL,
    CACHES,
    LIST_OF_TEXTS,
    NUMBER,
    OBJECT,
    TEXT,
    WHOLE,
    among,
    are_ids,
    are_rows,
    are_templates,
    are_texts,
    are_tokens,
    between,
    by_id,
    describes_token,
    is_bias,
    is_dtype,
    is_kind,
    is_number,
    is_positive,
    is_rope,
    is_token,
    is_whole,
    size_to,
)

_TAKE = "Use the model's own file."

_SPECIAL = ("Infinity", "-Infinity", "NaN")

_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_PARTS = (
    "num_attention_heads", "n_head", "n_heads", "num_key_value_heads", "num_experts",
    "num_local_experts", "n_routed_experts",
)  # fmt: skip
_WIDTHS = (
    "vocab_size", "hidden_size", "n_embd", "d_model", "head_dim", "intermediate_size",
    "max_position_embeddings", "n_positions",
)  # fmt: skip
_SIZES = (*_LAYERS, *_PARTS, *_WIDTHS)
# settings that a class takes as a number or as "auto", say
_EITHER = ("mamba_d_head", "sliding_window_pattern", "time_step_rank", "mamba_dt_rank", "gating")
_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")

Rule = tuple[tuple[str, ...], Callable[[Any], bool], str]
"""Keys, whether a value that is not null will do, and what it has to be."""

_CONFIG: tuple[Rule, ...] = (
    (_LAYERS, *size_to(1 << 10)),
    (_PARTS, *size_to(1 << 16)),
    (_WIDTHS, *size_to(1 << 31)),
    (_IDS, are_ids, "an id or a list of ids"),
    (("architectures", "layer_types", "layers_block_type"), *LIST_OF_TEXTS),
    (("text_config", "vision_config", "audio_config", "auto_map", "label2id"), *OBJECT),
    (("quantization_config",), lambda value: bool(value) or isinstance(value, dict), "an object"),
    (("id2label",), lambda value: by_id(value, bool), "an object of labels by number"),
    (("tie_word_embeddings",), *BOOL),
    (("model_type",), is_kind, "a string of at most 100 characters"),
    (("dtype", "torch_dtype"), is_dtype, "the name of a float dtype, such as bfloat16"),
    (("partial_rotary_factor", "rotary_pct", "initializer_range"), between(0, 1),
     "a number from 0 to 1"),
    (("rms_norm_eps", "norm_eps", "layer_norm_eps", "layer_norm_epsilon"), between(0),
     "a finite number ≥ 0"),
    (("rope_theta", "rotary_emb_base", "rope_local_base_freq", "local_rope_theta",
      "global_rope_theta"), is_positive, "a finite number > 0"),
    (("sliding_window",), lambda value: not is_number(value) or value >= 0, "a number from 0"),
    (("rope_scaling", "rope_parameters"), is_rope, "rotary parameters: names and numbers"),
)  # fmt: skip
_GENERATION: tuple[Rule, ...] = (
    (_IDS, are_ids, "an id or a list of ids"),
    (("do_sample", "use_cache"), *BOOL),
    (
        ("temperature", "top_p", "min_p", "typical_p", "repetition_penalty", "length_penalty",
         "diversity_penalty", "encoder_repetition_penalty", "guidance_scale"), *NUMBER,
    ),
    (
        ("top_k", "max_length", "max_new_tokens", "min_length", "min_new_tokens", "num_beams",
         "num_return_sequences", "no_repeat_ngram_size"), *WHOLE,
    ),
    (("suppress_tokens", "begin_suppress_tokens"),
     lambda value: isinstance(value, list) and are_ids(value), "a list of ids"),
    (("watermarking_config",), *OBJECT),
    (("cache_implementation",), *among(*CACHES)),
    (("compile_config",), lambda _: False, "null, the only value that transformers accepts here"),
)  # fmt: skip
_TOKENIZER: tuple[Rule, ...] = (
    (("chat_template",), are_templates, "a string, or a list of objects with name and template"),
    (("add_bos_token", "add_eos_token", "add_prefix_space", "legacy", "split_special_tokens"),
     *BOOL),
    (("padding_side", "truncation_side"), *among("left", "right")),
    (("model_input_names",), *LIST_OF_TEXTS),
    (
        ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token",
         "mask_token"), is_token, 'a string, or an object of "__type" "AddedToken" with content',
    ),
    (("auto_map",), *OBJECT),
    (("added_tokens_decoder",), lambda value: by_id(value, describes_token),
     "an object of tokens by id"),
    (("model_max_length",), *NUMBER),
    (("tokenizer_class",), *TEXT),
    (("additional_special_tokens", "extra_special_tokens"), are_tokens,
     'tokens: strings, or objects of "__type" "AddedToken" with content'),
)  # fmt: skip
_ADAPTER: tuple[Rule, ...] = (
    (("target_modules", "exclude_modules"),
     lambda value: isinstance(value, str) or are_texts(value), "a string or a list of strings"),
    (("layers_pattern",),
     lambda value: isinstance(value, str) or are_texts(value), "a string or a list of strings"),
    (("modules_to_save", "target_parameters"), are_texts, "a list of strings"),
    (("layers_to_transform",), are_ids, "a whole number or a list of them"),
    (("use_rslora", "use_dora", "fan_in_fan_out", "lora_bias", "inference_mode"), *BOOL),
    (("base_model_name_or_path", "revision", "peft_version"), *TEXT),
    (("bias",), is_bias, "none, all or the type's own (lora_only)"),
    (("trainable_token_indices",), are_rows, "a list of ids, or lists of them by name"),
    (("rank_pattern", "alpha_pattern", "auto_mapping", "monteclora_config", "use_bdlora",
      "velora_config"), *OBJECT),
)  # fmt: skip


def special_floats(value: Any) -> Any:
    """A value with the infinities that transformers 5 writes as {"__float__": "Infinity"}."""
    if isinstance(value, dict):
        if value.keys() == {"__float__"} and value["__float__"] in _SPECIAL:
            return float(value["__float__"])
        return {key: special_floats(each) for key, each in value.items()}
    return [special_floats(each) for each in value] if isinstance(value, list) else value


def _by(rules: tuple[Rule, ...], data: Mapping[str, Any], file: Path, above: str) -> list[Problem]:
    return [
        Problem(str(file), f"{above}{key} is {_said(data[key])}, not {wanted}", _TAKE)
        for keys, good, wanted in rules
        for key in keys
        if data.get(key) is not None and not good(data[key])
    ]


def _said(value: Any) -> str:
    """A value as its file has it, cut."""
    names = {True: "true", False: "false"}
    text = names[value] if isinstance(value, bool) else repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _by_class(data: Mapping[str, Any], file: Path, above: str) -> Iterator[Problem]:
    """Scalars of another kind than the class of the model has."""
    known = class_of(str(data.get("model_type")))
    if known is None:
        return
    for key, value in data.items():
        name = known.aliases.get(key, key)
        kind = _kind(known.defaults.get(name))
        if name in known.floats and is_whole(value):
            what = f"{above}{key} is {value}, but transformers requires a float here"
            yield Problem(str(file), what, f"Write {value}.0.")
            continue
        if kind == "" or _kind(value) in ("", kind) or key in (*_SIZES, *_IDS, *_EITHER):
            continue
        yield Problem(str(file), f"{above}{key} is {_said(value)}, not {kind}", _TAKE)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    return "a string" if isinstance(value, str) else ""


def config_problems(config: Mapping[str, Any], file: Path) -> list[Problem]:
    """What is of the wrong type or out of range in config.json."""
    problems = []
    nested = {key: value for key, value in config.items() if key.endswith("_config")}
    for above, data in (("", config), *((f"{key}.", each) for key, each in nested.items())):
        if isinstance(data, Mapping):
            found = _by(_CONFIG, data, file, above)
            problems += found or list(_by_class(data, file, above))
    return problems


def adapter_problems(settings: Mapping[str, Any], file: Path) -> list[Problem]:
    """The same of adapter_config.json."""
    return _by(_ADAPTER, settings, file, "")


def tokenizer_problems(settings: Mapping[str, Any], file: Path) -> list[Problem]:
    """The same of tokenizer_config.json."""
    return _by(_TOKENIZER, settings, file, "")


def generation_problems(settings: Mapping[str, Any], file: Path) -> list[Problem]:
    """The same of generation_config.json."""
    return _by(_GENERATION, settings, file, "")
