"""What transformers' classes take where config.json is silent, derived from the installed library.

    python -m tests.classes          writes engine/family/classes.json anew

`engine.family.classes` reads that file, so that the app and `check` know a class without importing
torch. A test holds the two together.
"""

from __future__ import annotations

import dataclasses
import json
import typing
import warnings
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from transformers import CONFIG_MAPPING
from transformers.models.auto import modeling_auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

from engine.family.classes import FILE

CAUSAL = modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
COMPOSITE = modeling_auto.MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES
SAID = ("absent", True, False)
_BASE = {field.name for field in dataclasses.fields(transformers.PreTrainedConfig)}
_LETTER = {True: "T", False: "F", None: "F"}


def tied_letters(config: type, of_text: bool) -> str:
    """T or F for a top key that is absent, true or false, each with the text part's three."""
    letters = ""
    parts = getattr(config, "sub_configs_defaults", None) or {}
    for top in SAID:
        for text in SAID if "text_config" in parts else (None,):
            given: dict[str, Any] = {} if top == "absent" else {"tie_word_embeddings": top}
            if "text_config" in parts:
                given["text_config"] = {"model_type": parts["text_config"].model_type}
                if text != "absent":
                    given["text_config"]["tie_word_embeddings"] = text
            try:
                found = config.from_dict(given)  # type: ignore[attr-defined]
            except StrictDataclassError:  # DBRX refuses to be tied
                letters += "F"
                continue
            if of_text:
                found = found.get_text_config(decoder=True)
            letters += _LETTER[getattr(found, "tie_word_embeddings", None)]
    return letters


def plain_defaults(config: type) -> dict[str, Any]:
    """The settings of a configuration class and their defaults, without the base class's."""
    found = {}
    for field in dataclasses.fields(config):
        if field.name in _BASE or field.name.endswith(("_token_id", "_config")):
            continue
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if isinstance(default, bool | int | float | str | list | dict | tuple | None):
            found[field.name] = default
    return dict(json.loads(json.dumps(found)))


def floats_alone(config: type) -> list[str]:
    """Settings that the class takes as a float and not as a whole number: 30.0, never 30."""
    found = []
    for name, hint in typing.get_type_hints(config, localns={"torch": torch}).items():
        kinds = typing.get_args(hint) or (hint,)
        if name not in _BASE and float in kinds and int not in kinds:
            found.append(name)
    return sorted(found)


def of_config(model_type: str) -> dict[str, Any]:
    """What the configuration class alone says."""
    config = CONFIG_MAPPING[model_type]
    defaults = plain_defaults(config)
    made = json.loads(config().to_json_string(use_diff=False))
    derived = [name for name, value in defaults.items() if made.get(name, value) != value]
    entry: dict[str, Any] = {"defaults": defaults, "derived": derived}
    if floats := floats_alone(config):
        entry["floats"] = floats
    if config.attribute_map:
        entry["aliases"] = dict(config.attribute_map)
    if isinstance(made.get("rope_parameters"), dict):
        entry["rope"] = made["rope_parameters"]
    return entry


def of_class(model_type: str) -> dict[str, Any]:
    """What the causal (or multimodal) class adds: how it is found, its prefix, its ties."""
    names = CAUSAL if model_type in CAUSAL else COMPOSITE
    name = names[model_type]
    model = getattr(transformers, name if isinstance(name, str) else name[0])
    config = CONFIG_MAPPING[model_type]
    heads = dict(model._tied_weights_keys or {})
    text = (getattr(config, "sub_configs", None) or {}).get("text_config")
    of_text = text is not None and model.config_class is text
    return {
        "auto": "causal" if model_type in CAUSAL else "multimodal",
        "prefix": model.base_model_prefix,
        "heads": heads,
        "tied": tied_letters(config, of_text) if heads else "F",
    }


def of_configuration(model_type: str) -> dict[str, Any]:
    """`of_config`, or {} for a configuration that is made of given parts alone."""
    with suppress(StrictDataclassError, ImportError, ValueError):
        return of_config(model_type)
    return {}


def derive(model_type: str) -> dict[str, Any]:
    """The entry of one model type."""
    entry = of_configuration(model_type)
    if model_type in CAUSAL or model_type in COMPOSITE:
        entry |= of_class(model_type)
    return entry


def known() -> list[str]:
    """Causal and multimodal types, and the text parts of the latter."""
    found = {each for each in (*CAUSAL, *COMPOSITE) if each in CONFIG_MAPPING_NAMES}
    for each in sorted(found):
        parts = getattr(CONFIG_MAPPING[each], "sub_configs_defaults", None) or {}
        text = parts.get("text_config")
        if text is not None and text.model_type in CONFIG_MAPPING_NAMES:
            found.add(text.model_type)
    return sorted(found)


def write() -> None:
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    entries: dict[str, Mapping[str, Any]] = {}
    for each in known():
        entry = derive(each)
        entries[each] = entry
    lines = [f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    write()
