"""Files beside the weights of a mergekit YAML's result: configuration, tokenizer, chat template."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.errors import bad
from engine.family.compatibility import Family
from engine.family.tokenizer import TokenizerFiles, chat_template_of
from engine.json_reading import optional_object

_COUNTS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_NUMBERED = ("mlp_only_layers", "full_attn_idxs", "attn_layer_indices")
"""Settings that name layers by their numbers."""

_LISTED = frozenset((
    "activation_sparsity_pattern", "hybrid_override_pattern", "indexer_types", "intermediate_size",
    "sliding_windows",
))  # fmt: skip
"""Settings that may have a value for each layer, beside those whose name says layer."""

_SHARED = "hidden_size_per_layer_input"
"""Setting of the classes that keep a part for each layer in one tensor outside the layers."""


def stacked_config(
    config: dict[str, Any],
    layers: Sequence[tuple[Mapping[str, Any], int]],
    where: str,
) -> None:
    """Give a configuration the layers of a stack: their number, and what it lists layer by layer.

    Args:
        config: changed in place.
        layers: (configuration of the model, number of the layer there) of each.

    Raises:
        BadInput: the configuration names layers by number, lists some layers of a model only, or
            says that layers have parts in tensors outside them.
    """
    nested = config.get("text_config")
    for inner, holder in ((False, config), (True, nested)):
        if not isinstance(holder, dict):
            continue
        before = next((holder[key] for key in _COUNTS if isinstance(holder.get(key), int)), None)
        if before is None:
            continue
        for key in _NUMBERED:
            if holder.get(key):
                what = f"config.json names layers by number ({key})"
                raise bad(where, what, "Merge whole models under models: instead.")
        if holder.get(_SHARED):
            what = f"layers have parts in tensors that stand outside them ({_SHARED})"
            raise bad(where, what, "Merge whole models under models: instead.")
        theirs = [
            (each.get("text_config") or {} if inner else each, layer) for each, layer in layers
        ]
        for key, value in holder.items():
            named = "layer" in key or key in _LISTED
            if named and isinstance(value, list | str) and len(value) == before:
                stacked = [
                    _at(each.get(key), value, layer, f"{where}: {key}") for each, layer in theirs
                ]
                holder[key] = "".join(stacked) if isinstance(value, str) else stacked
        for key in _COUNTS:
            if key in holder:
                holder[key] = len(layers)


def _at(own: Any, base: list[Any] | str, layer: int, where: str) -> Any:
    """What a model's setting says of one of its layers.

    Args:
        own: a value for all, one for each, or None where the base's counts.
    """
    listed = base if own is None else own
    if not isinstance(listed, list | str):
        return listed
    if layer >= len(listed):
        what = f"a model's config.json has {len(listed)} values, none of layer {layer}"
        raise bad(where, what, "List every layer there.")
    return listed[layer]


def resized_config(config: dict[str, Any], rows: int) -> None:
    """Give a configuration another number of vocabulary rows, in place."""
    for holder in (config, config.get("text_config")):
        if isinstance(holder, dict) and "vocab_size" in holder:
            holder["vocab_size"] = rows


def chosen_template(said: str, family: Family, where: str) -> str | None:
    """The chat template that a YAML asks for; None where "auto" finds none.

    Args:
        said: Jinja text, or "auto" for the one that most models have, the first among equals.

    Raises:
        BadInput: it is neither.
    """
    if said == "auto":
        found = [
            template.strip()
            for each in family.models.values()
            if each.kind != "raw"
            and (template := chat_template_of(each.path, _settings(each.path)))
        ]
        return Counter(found).most_common(1)[0][0] if found else None
    if len(said) < 20 or "{" not in said:
        what = f"{said!r} is no Jinja text; mergekit's own templates are not included"
        raise bad(where, what, "Write the template's text, or auto.")
    return said


def _settings(path: Path) -> dict[str, Any]:
    return optional_object(path / "tokenizer_config.json")


def write_template(out: Path, template: str) -> list[str]:
    """Make a text the chat template of the tokenizer in a directory; returns the new files."""
    settings = out / "tokenizer_config.json"
    if settings.is_file():
        held = json.loads(settings.read_text(encoding="utf-8"))
        if held.pop("chat_template", None) is not None:
            settings.write_text(json.dumps(held, indent=2, ensure_ascii=False) + "\n", "utf-8")
    (out / "chat_template.json").unlink(missing_ok=True)
    file = out / "chat_template.jinja"
    new = [] if file.exists() else [file.name]
    file.write_text(template, encoding="utf-8")
    return new


def tokenizers_of(family: Family) -> dict[str, TokenizerFiles]:
    """The tokenizers of a family's models, of those that have one."""
    return {
        name: TokenizerFiles.open(each.path)
        for name, each in family.models.items()
        if each.kind != "raw" and TokenizerFiles.present(each.path)
    }
