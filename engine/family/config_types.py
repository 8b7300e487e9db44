"""The types and ranges of what the JSON files of a model say, checked before any of it is used.

A size is a whole number above 0, never true or "4096"; a name is a text. Where transformers' own
class has a number, a text or true and false (`classes.json`), a scalar of another kind is refused,
as transformers itself refuses it when it loads the model; null and lists are left to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from engine.errors import Problem
from engine.family.classes import class_of

_TAKE = "Take the model's own file."
_LARGEST = 1 << 40

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


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def _size_to(most: int) -> tuple[Callable[[Any], bool], str]:
    """A size, or a list of one for each layer; 0 says that there is none of it."""

    def good(value: Any) -> bool:
        values = value if isinstance(value, list) else [value]
        return all(each is None or (_is_whole(each) and 0 <= each <= most) for each in values)

    return good, f"a whole number from 0 to {most:,}"


def _are_ids(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return all(_is_whole(each) and abs(each) < _LARGEST for each in values)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _is_token(value: Any) -> bool:
    content = value.get("content") if isinstance(value, Mapping) else value
    return isinstance(content, str)


def _are_templates(value: Any) -> bool:
    if isinstance(value, list):
        return all(
            isinstance(each, Mapping)
            and isinstance(each.get("name"), str)
            and isinstance(each.get("template"), str)
            for each in value
        )
    return isinstance(value, str)


Rule = tuple[tuple[str, ...], Callable[[Any], bool], str]
"""Keys, whether a value that is not null will do, and what it has to be."""

_BOOL: tuple[Callable[[Any], bool], str] = (lambda value: isinstance(value, bool), "true or false")
_TEXT: tuple[Callable[[Any], bool], str] = (lambda value: isinstance(value, str), "a text")
_OBJECT: tuple[Callable[[Any], bool], str] = (lambda value: isinstance(value, dict), "an object")
_NUMBER: tuple[Callable[[Any], bool], str] = (_is_number, "a finite number")
_WHOLE: tuple[Callable[[Any], bool], str] = (_is_whole, "a whole number")


def _is_rope(value: Any) -> bool:
    """Rotary parameters: numbers by name, for all layers or by kind of layer."""
    if not isinstance(value, dict):
        return _is_number(value)
    return all(
        each is None
        or isinstance(each, bool | list)
        or (isinstance(each, str) if "type" in key else _is_rope(each))
        for key, each in value.items()
    )


_CONFIG: tuple[Rule, ...] = (
    (_LAYERS, *_size_to(1 << 10)),
    (_PARTS, *_size_to(1 << 16)),
    (_WIDTHS, *_size_to(1 << 31)),
    (_IDS, _are_ids, "an id or a list of ids"),
    (("architectures",), _are_texts, "a list of texts"),
    (("text_config", "vision_config", "audio_config", "auto_map"), *_OBJECT),
    (("tie_word_embeddings",), *_BOOL),
    (("model_type",), *_TEXT),
    (
        ("rope_theta", "rotary_emb_base", "rope_local_base_freq", "local_rope_theta",
         "global_rope_theta", "partial_rotary_factor", "rotary_pct", "rms_norm_eps", "norm_eps",
         "layer_norm_eps", "layer_norm_epsilon", "initializer_range"), *_NUMBER,
    ),
    (("rope_scaling", "rope_parameters"), _is_rope, "rotary parameters: names and numbers"),
)  # fmt: skip
_GENERATION: tuple[Rule, ...] = (
    (_IDS, _are_ids, "an id or a list of ids"),
    (("do_sample", "use_cache"), *_BOOL),
    (
        ("temperature", "top_p", "min_p", "typical_p", "repetition_penalty", "length_penalty",
         "diversity_penalty", "encoder_repetition_penalty", "guidance_scale"), *_NUMBER,
    ),
    (
        ("top_k", "max_length", "max_new_tokens", "min_length", "min_new_tokens", "num_beams",
         "num_return_sequences", "no_repeat_ngram_size"), *_WHOLE,
    ),
)  # fmt: skip
_TOKENIZER: tuple[Rule, ...] = (
    (("chat_template",), _are_templates, "a text, or a list of objects with name and template"),
    (("add_bos_token", "add_eos_token", "add_prefix_space", "legacy"), *_BOOL),
    (
        ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token",
         "mask_token"), _is_token, "a text, or an object with content",
    ),
    (("added_tokens_decoder", "auto_map"), *_OBJECT),
    (("model_max_length",), *_NUMBER),
    (("tokenizer_class",), *_TEXT),
    (("additional_special_tokens", "extra_special_tokens"),
     lambda value: isinstance(value, list | dict), "a list or an object"),
)  # fmt: skip
_ADAPTER: tuple[Rule, ...] = (
    (("target_modules", "exclude_modules"),
     lambda value: isinstance(value, str) or _are_texts(value), "a text or a list of texts"),
    (("layers_pattern",),
     lambda value: isinstance(value, str) or _are_texts(value), "a text or a list of texts"),
    (("modules_to_save", "target_parameters"), _are_texts, "a list of texts"),
    (("layers_to_transform",), _are_ids, "a whole number or a list of them"),
    (("use_rslora", "use_dora", "fan_in_fan_out", "lora_bias", "inference_mode"), *_BOOL),
    (("base_model_name_or_path", "revision", "bias", "peft_version"), *_TEXT),
    (("rank_pattern", "alpha_pattern", "auto_mapping"), *_OBJECT),
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
        if name in known.floats and _is_whole(value):
            what = f"{above}{key} is {value}, and transformers takes a float there"
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
    return "a text" if isinstance(value, str) else ""


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
