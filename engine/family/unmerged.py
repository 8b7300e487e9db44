"""Stored tensors that weight space leaves as the base has them, by names and configuration alone.

    ignored    what the class does not load: mtp.…, model.layers.61.… of 61 layers, visual.… of a
               checkpoint that is run by its text class
    towers     other towers of a multimodal checkpoint and what joins them to its text:
               vision_tower.…, multi_modal_projector.…, visual.…

Both go into exports untouched; with `towers: merge` the towers are merged as well. Loading the
model finds out whether the names spoke true (`engine.family.loading`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from engine.family.class_source import ignored_patterns

_TEXT = re.compile(r"^(?:language_model|text_model)$")
_HEAD = re.compile(r"^(?:model\.|thinker\.)?lm_head\.")
_TOWER = re.compile(
    r"vision|visual|image|video|audio|speech|projector|connector|aligner|resampler|perceiver|"
    r"vqmodel|talker|token2wav|code2wav|codec|qformer|patch_embed|mm_proj|merger|sam_model|"
    r"view_sep|^mlp_AR$|^mlp1$"
)
_COMPOSITE = re.compile(
    r"(?:^text|vision|visual|image|audio|speech|encoder|vq|projector)\w*_config$"
)
_LAYER = re.compile(r"layers\.(\d+)\.")
_LAYER_RULE = re.compile(r"layers\\?\.(\d+)")


def is_composite(config: Mapping[str, Any]) -> bool:
    """Whether a configuration describes a text model with other towers beside it."""
    return any(
        isinstance(value, Mapping) and _COMPOSITE.search(key) for key, value in config.items()
    )


def tower_names(config: Mapping[str, Any], names: Iterable[str]) -> frozenset[str]:
    """The stored names that belong to other towers than the text; none of a model of text alone."""
    if not is_composite(config):
        return frozenset()
    names = tuple(names)
    marked = any(_place_of_text(name) is not None for name in names)
    return frozenset(name for name in names if not _is_text(name, marked))


def _place_of_text(name: str) -> int | None:
    parts = name.split(".")
    return next((at for at, part in enumerate(parts) if _TEXT.match(part)), None)


def _is_text(name: str, marked: bool) -> bool:
    """Whether a name is of the text part.

    Args:
        marked: names of this checkpoint say `language_model` or `text_model` where they are text.
    """
    if _HEAD.match(name):
        return True
    parts = name.split(".")
    place = _place_of_text(name)
    if marked:
        return place is not None and not any(_TOWER.search(part) for part in parts[:place])
    return not any(_TOWER.search(part) for part in parts[:2])


def ignored_names(
    config: Mapping[str, Any], layers: int | None, names: Iterable[str]
) -> frozenset[str]:
    """The stored names that the model's class ignores by its own list.

    Args:
        layers: number of layers; a pattern that names a layer by its number means one beyond.
    """
    kind = config.get("model_type")
    if not isinstance(kind, str):
        return frozenset()
    patterns = set(ignored_patterns(kind, whole=True))
    for key, value in config.items():
        if key.endswith("_config") and isinstance(value, Mapping):
            part = value.get("model_type")
            if isinstance(part, str) and part != kind:
                patterns.update(ignored_patterns(part, whole=False))
    if not patterns:
        return frozenset()
    rules = [(re.compile(each), _LAYER_RULE.search(each) is not None) for each in sorted(patterns)]
    return frozenset(
        name
        for name in names
        if any(_meant(rule, by_layer, name, layers) for rule, by_layer in rules)
    )


def _meant(rule: re.Pattern[str], by_layer: bool, name: str, layers: int | None) -> bool:
    """Whether a pattern means this name: from its beginning, and no layer that the model has.

    transformers searches the pattern anywhere, but only among names that it could not place:
    GPT-2's "attn.bias" is a mask, and yet occurs in "attn.c_attn.bias".
    """
    if _HEAD.match(name):  # a pattern of a part without a head
        return False
    short = name.removeprefix("model.")
    if rule.match(name) is None and rule.match(short) is None:
        return False
    if not by_layer:
        return True
    layer = _LAYER.search(name)
    return layer is not None and layers is not None and int(layer[1]) >= layers
