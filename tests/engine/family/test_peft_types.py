"""The tables of adapter types, against the installed peft and transformers."""

from __future__ import annotations

import importlib.util
import inspect
import pkgutil
import re

import pytest
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from peft.tuners.tuners_utils import BaseTunerLayer
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from engine.family.peft_types import CONV1D, REFUSED, USABLE

# what peft keeps on a layer's list and never in a file
_LIVE_ONLY = {"tinylora_v", "unilora_theta_d", "vblora_vector_bank"}


def test_every_type_is_known() -> None:
    known = {each.value for each in PEFT_TYPE_TO_CONFIG_MAPPING}
    assert USABLE.keys() | REFUSED.keys() == known and not USABLE.keys() & REFUSED.keys()


@pytest.mark.parametrize("kind", sorted(USABLE))
def test_the_tensors_of_a_type_are_those_of_its_layers(kind: str) -> None:
    config = next(v for k, v in PEFT_TYPE_TO_CONFIG_MAPPING.items() if k.value == kind)
    package = config.__module__.rsplit(".", 1)[0]
    found: set[str] = set()
    for each in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if each.name != "layer":
            continue
        module = importlib.import_module(f"{package}.{each.name}")
        for value in vars(module).values():
            if not inspect.isclass(value) or value.__module__ != module.__name__:
                continue
            if issubclass(value, BaseTunerLayer):
                found |= set(value.adapter_layer_names)
    mine = USABLE[kind].parts.keys() | USABLE[kind].shared.keys() | _LIVE_ONLY
    assert found - {"trainable_tokens_delta"} <= mine
    for each in USABLE[kind].sets:
        assert each <= USABLE[kind].parts.keys()


def test_every_class_with_conv1d_is_known() -> None:
    """The names that a class's source gives to its Conv1D, for every class that makes text."""
    seen = set()
    for kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        place = kind.replace("-", "_").replace("openai_gpt", "openai")
        path = f"transformers.models.{place}"
        spec = importlib.util.find_spec(path)
        if spec is None or not spec.submodule_search_locations:
            continue
        folder = spec.submodule_search_locations[0]
        try:
            with open(f"{folder}/modeling_{place}.py", encoding="utf-8") as file:
                source = file.read()
        except FileNotFoundError:
            continue
        named = set(re.findall(r"self\.(\w+) = Conv1D\(", source))
        assert named == set(CONV1D.get(kind, ())), kind
        seen |= {kind} if named else set()
    assert seen == {"gpt2", "openai-gpt"}
