from __future__ import annotations

import pytest

from engine.family.classes import class_of
from tests import classes

# classes whose modelling files other tests import anyway, and one of several parts
SAMPLE = ("llama", "gemma2", "gpt2", "qwen2", "mistral", "gpt_neox", "gemma3")


def test_what_configurations_say_is_that_of_the_installed_library() -> None:
    known = classes.known()
    for model_type in known:
        found = class_of(model_type)
        assert found is not None, f"{model_type}: run python -m tests.classes"
        derived = classes.of_configuration(model_type)
        for key, value in derived.items():
            stored = getattr(found, key)
            stored = list(stored) if key in ("derived", "floats") else stored
            assert stored == value, (model_type, key)
    assert len(known) > 250


@pytest.mark.parametrize("model_type", SAMPLE)
def test_what_classes_say_is_that_of_the_installed_library(model_type: str) -> None:
    found = class_of(model_type)
    assert found is not None
    for key, value in classes.of_class(model_type).items():
        assert getattr(found, key) == value, key


def test_ties_by_key_and_default() -> None:
    gemma, llama, parts = (class_of(each) for each in ("gemma2", "llama", "qwen2_5_vl"))
    assert gemma is not None and llama is not None and parts is not None
    assert gemma.ties({}) and not llama.ties({})
    assert not gemma.ties({"tie_word_embeddings": None})  # null is no value: transformers says no
    assert llama.ties({"tie_word_embeddings": True})
    assert parts.ties({"text_config": {"tie_word_embeddings": True}})
    assert not parts.ties({"tie_word_embeddings": False, "text_config": {}})
    assert class_of("of_nobody") is None
