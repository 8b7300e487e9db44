"""Compares two configurations: which settings that affect a forward pass differ.

A fine-tune may scale its rotary positions, move a norm's epsilon or a window: the tensors fit, and
the numbers are others. Every setting of the class is compared, a missing one by the class's
default; spellings of transformers 4 and 5 that mean the same are the same. What is not compared:
where a model comes from, how it is trained, how it generates, its token ids and its dtype.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from engine.errors import BadInput, Problem
from engine.family.checkpoint import Checkpoint
from engine.family.classes import ModelClass, class_of

_SAME = "Experts must be fine-tunes of this base."

# settings that decide shapes, under the names that model families give them
SIZES = (
    "hidden_size", "n_embd", "d_model", "num_hidden_layers", "n_layer", "num_layers",
    "num_attention_heads", "n_head", "num_key_value_heads", "head_dim", "intermediate_size",
    "n_inner", "num_experts", "num_local_experts",
)  # fmt: skip

LAYERS = frozenset(("num_hidden_layers", "n_layer", "num_layers"))
"""Those of `SIZES` that say how many layers there are."""

# settings of provenance, training, generation and tokens; no forward pass in eval mode reads them
_NEUTRAL = re.compile(
    r"_.*|.*_token_ids?|.*_token_index|.*_tokens_index|architectures|model_type|name_or_path"
    r"|transformers_version|torch_dtype|dtype|auto_map|vocab_size|tie_word_embeddings"
    r"|tie_encoder_decoder|initializer_.*|init_.*|.*initializer.*|.*dropout.*|.*_pdrop|layerdrop"
    r"|.*layerdrop|.*_loss_.*|.*_loss|.*aux_loss.*|output_.*|return_dict.*|use_cache|cache_.*"
    r"|gradient_checkpointing|pretraining_tp|attn_implementation|experts_implementation|torchscript"
    r"|id2label|label2id|num_labels|problem_type|finetuning_task|task_specific_params|classifier_.*"
    r"|summary_.*|is_decoder|is_encoder_decoder|use_return_dict|chunk_size_feed_forward|pruned_heads"
    r"|use_bfloat16|tf_legacy_loss|keys_to_ignore_at_inference|.*_version|unsloth.*|quantization.*"
    r"|do_sample|temperature|top_[kp]|typical_p|min_length|max_length|num_beam.*|repetition_penalty"
    r"|length_penalty|.*no_repeat_ngram_size|early_stopping|num_return_sequences|diversity_penalty"
    r"|bad_words_ids|suppress_tokens|begin_suppress_tokens|forced_.*|remove_invalid_values"
    r"|exponential_decay_length_penalty|prefix|tokenizer_class|base_model_(?:tp|pp|ep|fsdp)_plan"
)
# settings that say how positions turn, gathered by `_rope`
_ROPE = frozenset(
    ("rope_scaling", "rope_parameters", "rope_theta", "rotary_emb_base", "rope_local_base_freq",
     "partial_rotary_factor", "rotary_pct", "global_rope_theta", "local_rope_theta")
)  # fmt: skip
_THETA = ("rope_theta", "rotary_emb_base", "global_rope_theta")
_TYPES = {"su": "longrope", "mrope": "default"}
_ABSENT = object()


def compare_config(base: Checkpoint, expert: Checkpoint, layers: bool = True) -> list[str]:
    """Notes on settings that differ though the tensors fit.

    Args:
        layers: the numbers of layers have to be equal.

    Raises:
        BadInput: another architecture, or sizes that differ, with both values.
    """
    where = f"{expert.name} ({expert.path / 'config.json'})"
    problems = []
    for key in ("model_type", "architectures"):
        mine, theirs = base.config.get(key), expert.config.get(key)
        if mine and theirs and mine != theirs:
            problems.append(Problem(where, f"{key} is {theirs!r} where base has {mine!r}", _SAME))
    for key in SIZES:
        if key in LAYERS and not layers:
            continue
        mine, theirs = base.setting(key), expert.setting(key)
        if None not in (mine, theirs) and _one_size(mine) != _one_size(theirs):
            problems.append(Problem(where, f"{key} is {theirs!r} where base has {mine!r}", _SAME))
    if problems:
        raise BadInput(*problems)
    found = list(_differences(base.config, expert.config, ""))
    if not found:
        return []
    told = ", ".join(
        f"{key} is {_shown(theirs)} (base: {_shown(mine)})" for key, mine, theirs in found
    )
    return [
        f"{expert.name}: {told}; merged models use base's settings; {expert.name} on its own "
        "(single, logit space) uses its own."
    ]


def _one_size(value: Any) -> Any:
    """A size that is written once a layer, where all are the same."""
    same = isinstance(value, list) and len(value) > 1 and value == value[:1] * len(value)
    return value[0] if same else value


def _shown(value: Any) -> str:
    return "not set" if value is _ABSENT else str(value)[:120]


def _differences(
    base: Mapping[str, Any], expert: Mapping[str, Any], above: str
) -> Iterator[tuple[str, Any, Any]]:
    """(setting, base's value, expert's value) of every one that differs, in base's order."""
    if base == expert:
        return
    known = class_of(str(base.get("model_type")))
    mine, theirs = (_settings(each, known) for each in (base, expert))
    for key in (*mine, *(key for key in theirs if key not in mine)):
        first, second = mine.get(key, _ABSENT), theirs.get(key, _ABSENT)
        if (
            isinstance(first, Mapping)
            and isinstance(second, Mapping)
            and not key.startswith("rope")
        ):
            yield from _differences(first, second, f"{above}{key}.")
        elif first != second and not _silent(key, first, second, known):
            yield f"{above}{key}", first, second
    yield from _rope_differences(base, expert, known, above)


def _silent(key: str, first: Any, second: Any, known: ModelClass | None) -> bool:
    """Whether a value on one side alone says nothing: computed by the class, or not read by it."""
    if not any(each is _ABSENT or each is None for each in (first, second)):
        return False
    if known is not None and known.defaults:
        return key in known.derived or key not in known.defaults
    there = second if first is _ABSENT or first is None else first
    return there is _ABSENT or there in (None, False, [], {}, "") or isinstance(there, Mapping)


def _settings(config: Mapping[str, Any], known: ModelClass | None) -> dict[str, Any]:
    """Every setting under the class's own name, with its defaults, rotary positions left out."""
    aliases = {} if known is None else known.aliases
    found: dict[str, Any] = {}
    if known is not None:
        found = {key: each for key, each in known.defaults.items() if key not in known.derived}
    found |= {aliases.get(key, key): value for key, value in config.items()}
    return {
        key: value
        for key, value in found.items()
        if key not in _ROPE and key not in SIZES and not _NEUTRAL.fullmatch(key)
    }


def _rope_differences(
    base: Mapping[str, Any], expert: Mapping[str, Any], known: ModelClass | None, above: str
) -> Iterator[tuple[str, Any, Any]]:
    mine, theirs = _rope(base, known), _rope(expert, known)
    if mine.keys() != theirs.keys() and "" in (*mine, *theirs):  # one is flat, the other by layers
        labels = [key for key in (*mine, *theirs) if key]
        mine, theirs = (_by_layers(each, labels) for each in (mine, theirs))
    for label in dict.fromkeys((*mine, *theirs)):
        first, second = mine.get(label, {}), theirs.get(label, {})
        for key in dict.fromkeys((*first, *second)):
            one, other = first.get(key, _ABSENT), second.get(key, _ABSENT)
            if one != other and not (key == "partial_rotary_factor" and _ABSENT in (one, other)):
                name = key if key.startswith("rope") else f"rope {key}"
                yield f"{above}{name}{f' of {label}' if label else ''}", one, other


def _by_layers(found: dict[str, dict[str, Any]], labels: list[str]) -> dict[str, dict[str, Any]]:
    return found if "" not in found else {label: found[""] for label in labels}


def _rope(config: Mapping[str, Any], known: ModelClass | None) -> dict[str, dict[str, Any]]:
    """Rotary positions as transformers 5 writes them: kind of layer ("" for all) -> parameters."""
    usual = {} if known is None else known.rope
    given = config.get("rope_scaling") or config.get("rope_parameters") or {}
    given = dict(given) if isinstance(given, Mapping) else {"factor": given}
    named = (config[key] for key in _THETA if config.get(key) is not None)
    theta = next(named, None)
    local = config.get("rope_local_base_freq", config.get("local_rope_theta"))
    if not given and usual and theta is None:
        given = _without_bases(usual)
    if _layered(given):
        layers = {label: dict(each or {}) for label, each in given.items()}
    elif _layered(usual) or local is not None:  # transformers 4: the windows' base beside
        layers = {label: {} for label in usual or ("full_attention", "sliding_attention")}
        layers |= {"full_attention": given}
    else:
        layers = {"": given}
    if local is not None and "sliding_attention" in layers:
        layers["sliding_attention"].setdefault("rope_theta", local)
    return {
        label: _standard(each, config, theta, usual.get(label, usual))
        for label, each in layers.items()
    }


def _without_bases(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Rotary parameters without what may also be said beside them."""
    return {
        key: _without_bases(each) if isinstance(each, Mapping) else each
        for key, each in parameters.items()
        if key not in ("rope_theta", "partial_rotary_factor")
    }


def _layered(parameters: Mapping[str, Any]) -> bool:
    """Whether rotary parameters are given by kind of layer."""
    return any(isinstance(each, Mapping) for each in parameters.values())


def _standard(
    given: dict[str, Any], config: Mapping[str, Any], theta: Any, usual: Any
) -> dict[str, Any]:
    """One kind of layer's parameters, with what is said beside them and what its class takes."""
    kind = given.pop("type", None)
    kind = given.pop("rope_type", None) or kind or "default"
    usual = usual if isinstance(usual, Mapping) else {}
    found = {"rope_type": _TYPES.get(kind, kind)}
    found["rope_theta"] = usual.get("rope_theta") if theta is None else theta
    part = config.get("partial_rotary_factor", config.get("rotary_pct"))
    if part is None:
        part = usual.get("partial_rotary_factor")
    if part is not None:
        found["partial_rotary_factor"] = part
    if kind in ("llama3", "yarn", "longrope", "su"):
        whole = config.get("max_position_embeddings")
        whole = config.get("original_max_position_embeddings", whole)
        found["original_max_position_embeddings"] = whole
    return found | {key: value for key, value in given.items() if value is not None}
