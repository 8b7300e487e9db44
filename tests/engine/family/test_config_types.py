"""Every value of a model's JSON files that is of the wrong type or size is one message at check."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.errors import BadInput
from engine.family.compatibility import open_family
from engine.family.config_types import config_problems, tokenizer_problems
from engine.family.light_text import light_text
from engine.family.value_types import CACHES
from engine.json_reading import parse_json, read_object
from engine.scoring.objectives import prepare
from engine.study import FamilySpec, Study
from tests.families import FamilyFiles, build_tied_family


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> FamilyFiles:
    return build_tied_family(tmp_path_factory.mktemp("types"))


@pytest.fixture
def files(sound: FamilyFiles, tmp_path: Path) -> FamilyFiles:
    root = tmp_path / "family"
    root.mkdir()
    for name in ("base", "terse"):
        shutil.copytree(sound.root / name, root / name)
    return FamilyFiles(root, root / "base", root / "target", {"terse": root / "terse"})


def refused(files: FamilyFiles) -> str:
    """What `check` says of the family: one problem."""
    spec = FamilySpec(files.base, {"terse": files.experts["terse"]})
    with pytest.raises(BadInput) as caught:
        family = open_family(spec)
        prepare(Study("s", files.root / "s.yaml", spec, ()), text=light_text(family))
    assert len(caught.value.problems) == 1, caught.value.problems
    return str(caught.value)


def edit(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads(file.read_text()) if file.exists() else {}
    change(document)
    # numbers beyond a float stand as they would in a file
    file.write_text(json.dumps(document).replace('"<1e400>"', "1e400"))


BEYOND = "<1e400>"
VALUES: list[tuple[str, str, Any]] = [
    ("base/config.json", "vocab_size", True),
    ("base/config.json", "vocab_size", "384"),
    ("base/config.json", "hidden_size", -48),
    ("base/config.json", "num_hidden_layers", 2.5),
    ("base/config.json", "max_position_embeddings", 1 << 50),
    ("base/config.json", "rms_norm_eps", "1e-6"),
    ("base/config.json", "rms_norm_eps", BEYOND),
    ("base/config.json", "rms_norm_eps", 1),
    ("base/config.json", "hidden_size", 10**400),
    ("base/config.json", "rope_theta", "x"),
    ("base/config.json", "rope_scaling", {"rope_type": "linear", "factor": "2"}),
    ("base/config.json", "tie_word_embeddings", "yes"),
    ("base/config.json", "hidden_act", 3),
    ("base/config.json", "attention_bias", 1),
    ("base/config.json", "architectures", 7),
    ("base/config.json", "text_config", []),
    ("base/config.json", "model_type", 5),
    ("base/config.json", "eos_token_id", "2"),
    ("base/config.json", "rope_scaling", {"type": ["linear"]}),
    ("base/config.json", "rope_parameters", {"rope_theta": {}}),
    ("base/config.json", "rope_theta", 0),
    ("base/config.json", "rms_norm_eps", -1.0),
    ("base/config.json", "layer_types", 3),
    ("base/config.json", "model_type", "x" * 5000),
    ("base/config.json", "dtype", "float61"),
    ("base/config.json", "id2label", {"a": "b"}),
    ("base/config.json", "quantization_config", []),
    ("base/config.json", "sliding_window", -3),
    ("base/generation_config.json", "suppress_tokens", 3),
    ("base/generation_config.json", "cache_implementation", "any"),
    ("base/generation_config.json", "eos_token_id", 2.5),
    ("base/generation_config.json", "temperature", "hot"),
    ("base/generation_config.json", "max_length", True),
    ("base/tokenizer_config.json", "chat_template", 3),
    ("base/tokenizer_config.json", "chat_template", [{"name": 1}]),
    ("base/tokenizer_config.json", "eos_token", 3),
    ("base/tokenizer_config.json", "add_bos_token", "no"),
    ("base/tokenizer_config.json", "model_max_length", BEYOND),
    ("base/tokenizer_config.json", "added_tokens_decoder", 2),
    ("base/tokenizer_config.json", "added_tokens_decoder", {"x": {"content": "a"}}),
    ("base/tokenizer_config.json", "added_tokens_decoder", {"3": {"content": 5}}),
    ("base/tokenizer_config.json", "additional_special_tokens", [{"content": "<x>"}]),
    ("base/tokenizer_config.json", "extra_special_tokens", {"a": 3}),
    ("base/tokenizer_config.json", "bos_token", {"content": "<s>", "lstrip": False}),
    ("base/tokenizer_config.json", "padding_side", "up"),
    ("base/tokenizer_config.json", "split_special_tokens", "no"),
    ("base/tokenizer.json", "added_tokens", 2.5),
    ("base/tokenizer.json", "model", "x"),
    ("base/tokenizer.json", "pre_tokenizer", 5),
    ("base/tokenizer.json", "normalizer", {"type": "Replace", "pattern": 1, "content": {}}),
    ("terse/adapter_config.json", "r", 10**400),
    ("terse/adapter_config.json", "r", "4"),
    ("terse/adapter_config.json", "lora_alpha", BEYOND),
    ("terse/adapter_config.json", "lora_alpha", 10**400),
    ("terse/adapter_config.json", "target_modules", 3),
    ("terse/adapter_config.json", "modules_to_save", "lm_head"),
    ("terse/adapter_config.json", "rank_pattern", {"q_proj": 10**400}),
    ("terse/adapter_config.json", "use_rslora", "yes"),
    ("terse/adapter_config.json", "bias", "some"),
    ("terse/adapter_config.json", "trainable_token_indices", {"a": 3}),
    ("terse/adapter_config.json", "velora_config", 3),
    ("terse/adapter_config.json", "base_model_name_or_path", {}),
]


@pytest.mark.parametrize(("name", "key", "value"), VALUES)
def test_a_value_of_the_wrong_type_or_size(
    files: FamilyFiles, name: str, key: str, value: Any
) -> None:
    file = files.root / name
    edit(file, lambda document: document.update({key: value}))
    said = refused(files)
    assert str(file) in said


@pytest.mark.parametrize(
    "name",
    ["base/config.json", "base/tokenizer.json", "base/tokenizer_config.json",
     "base/generation_config.json", "terse/adapter_config.json"],
)  # fmt: skip
@pytest.mark.parametrize(
    "text",
    ['{"a": 1, "a": 2}', '{"a": ' * 5000, '{"a": ' + "[" * 150 + "]" * 150 + "}", "[]", "", "null",
     '{"a": 1e400}', '{"a": ' + "1" * 5000 + "}", "\xff"],
    ids=["twice", "deep", "nested", "list", "empty", "null", "beyond", "digits", "bytes"],
)  # fmt: skip
def test_what_is_no_sound_json(files: FamilyFiles, name: str, text: str) -> None:
    (files.root / name).write_bytes(text.encode("latin-1"))
    assert str(files.root / name) in refused(files)


SHAPES: list[Any] = [
    [10**200, 10**200], [True, 2], ["2", 3], [-1, -4], [1e400], 4, None, [1 << 62] * 3, [0.5],
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_of_a_header(files: FamilyFiles, shape: Any) -> None:
    file = files.experts["terse"] / "adapter_model.safetensors"
    content = file.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    name = next(each for each in header if each != "__metadata__")
    header[name]["shape"] = shape
    text = json.dumps(header).replace("Infinity", "1e400").encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + size :])
    assert str(file) in refused(files)


def test_what_configurations_really_hold_passes(tmp_path: Path) -> None:
    real = {
        "model_type": "llama", "num_attention_heads": 8, "num_key_value_heads": None,
        "intermediate_size": [64, 128], "rms_norm_eps": 1e-06, "rope_theta": 10000,
        "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "short_factor": [1.0, 2.0]},
        "pad_token_id": -1, "eos_token_id": [1, 2], "tie_word_embeddings": False,
        "initializer_range": 0.02, "torch_dtype": "bfloat16", "attention_dropout": 0,
        "head_dim": 16, "hidden_act": "silu", "text_config": {"vocab_size": 8},
    }  # fmt: skip
    assert config_problems(real, tmp_path / "config.json") == []
    mamba = {"model_type": "mamba", "time_step_rank": 160, "time_step_limit": [0.0, float("inf")]}
    assert config_problems(mamba, tmp_path / "config.json") == []
    file = tmp_path / "a.json"
    file.write_text('{"model_max_length": 1000000000000000019884624838656, "x": [NaN, Infinity]}')
    assert read_object(file)["model_max_length"] == 10**30 + 19884624838656
    assert parse_json(b'{"a": "9e999 is a text", "b": 1e-400}') == {
        "a": "9e999 is a text", "b": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "key"),
    [("llama", "rms_norm_eps"), ("gemma2", "final_logit_softcapping"), ("cohere", "logit_scale")],
)
def test_a_whole_number_where_the_class_takes_a_float_alone(kind: str, key: str) -> None:
    """transformers refuses 30 for 30.0 there, so `check` says it first."""
    from huggingface_hub.errors import StrictDataclassError
    from transformers import CONFIG_MAPPING

    with pytest.raises(StrictDataclassError):
        CONFIG_MAPPING[kind].from_dict({key: 30})
    CONFIG_MAPPING[kind].from_dict({key: 30.0})
    [problem] = config_problems({"model_type": kind, key: 30}, Path("config.json"))
    assert "requires a float here" in problem.what and problem.fix == "Write 30.0."
    assert config_problems({"model_type": kind, key: 30.0}, Path("config.json")) == []


def test_names_of_caches_are_those_of_transformers() -> None:
    from transformers.generation.configuration_utils import ALL_CACHE_IMPLEMENTATIONS

    assert set(CACHES) == {*ALL_CACHE_IMPLEMENTATIONS, "paged"}


def test_tokens_as_people_have_them_pass(tmp_path: Path) -> None:
    described = {"content": "<x>", "lstrip": False, "special": True}
    added = {"__type": "AddedToken", **described}
    settings = {
        "added_tokens_decoder": {"0": described, "31999": added},
        "additional_special_tokens": ["<x>", added], "extra_special_tokens": {"image": "<x>"},
        "bos_token": added, "eos_token": "</s>", "pad_token": None, "padding_side": "left",
    }  # fmt: skip
    assert tokenizer_problems(settings, tmp_path / "tokenizer_config.json") == []


def test_a_table_of_classes_refuses_no_default_of_its_own() -> None:
    from engine.family.classes import FILE, class_of

    for kind in json.loads(FILE.read_text(encoding="utf-8")):
        known = class_of(kind)
        assert known is not None
        config = {"model_type": kind, **known.defaults}
        assert config_problems(config, Path("config.json")) == [], kind
