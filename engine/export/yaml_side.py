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
        BadInput: the configuration names layers by number, or lists some layers of a model only.
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
        theirs = [
            (each.get("text_config") or {} if inner else each, layer) for each, layer in layers
        ]
        for key, value in holder.items():
            if "layer" in key and isinstance(value, list) and len(value) == before:
                listed = [(each.get(key, value), layer) for each, layer in theirs]
                for own, layer in listed:
                    if layer >= len(own):
                        what = (
                            f"{key} in a config.json has {len(own)} values, none of layer {layer}"
                        )
                        raise bad(where, what, "List every layer there.")
                holder[key] = [own[layer] for own, layer in listed]
        for key in _COUNTS:
            if key in holder:
                holder[key] = len(layers)


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
