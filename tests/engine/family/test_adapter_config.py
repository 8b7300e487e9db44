from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.errors import BadInput
from engine.family.adapter_config import AdapterConfig, read_config
from engine.family.peft_types import REFUSED, USABLE

PLAIN = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "base_model_name_or_path": "acme/tiny"}


def written(place: Path, **changes: Any) -> Path:
    (place / "adapter_config.json").write_text(json.dumps(PLAIN | changes))
    return place


def refused(place: Path, *expected: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_config(place)
    for each in expected:
        assert each in str(caught.value)
    assert all(problem.fix for problem in caught.value.problems)


def test_patterns_match_as_in_peft() -> None:
    config = AdapterConfig(
        r=8,
        alpha=16,
        rank_pattern={"down_proj": 4, "layers.1.q_proj": 2},
        alpha_pattern={r"layers\.\d+\.down_proj": 2},
    )
    assert config.scale_of("model.layers.0.mlp.up_proj") == 2.0
    assert config.rank_of("model.layers.0.mlp.down_proj") == 4
    assert config.scale_of("model.layers.0.down_proj") == 0.5
    assert config.rank_of("model.layers.1.q_proj") == 2
    assert config.rank_of("model.layers.11.q_proj") == 8
    assert config.rank_of("model.layers.0.my_down_proj") == 8  # whole parts of the name only


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"layer_replication": [[0, 2]]}, "repeats layers"),
        ({"alora_invocation_tokens": [1]}, "depends on the text"),
        ({"arrow_config": {"top_k": 2}}, "routes between adapters"),
        ({"init_lora_weights": "pissa_niter_4"}, "at random"),
        ({"init_lora_weights": "loftq"}, "quantised weights"),
        ({"init_lora_weights": "corda"}, "covariances"),
        ({"init_lora_weights": "lora_ga"}, "gradients"),
        ({"peft_type": "NEW"}, "'NEW', which peft 0.21 does not know"),
        ({"peft_type": None}, "None, which peft"),
        ({"r": 0}, "r is 0"),
        ({"r": True}, "r is True"),
        ({"lora_alpha": float("nan")}, "lora_alpha is nan"),
        ({"rank_pattern": {"(?i)q": 3}}, "not a regular expression"),
        ({"lora_alpha": None}, "lora_alpha is None"),
        ({"rank_pattern": {"(": 3}}, "not a regular expression"),
        ({"alpha_pattern": {"q": "x"}}, "alpha_pattern must map"),
        ({"peft_type": "PVERA", "sample_at_inference": True}, "is random"),
    ],
)
def test_what_no_weights_stand_for(changes: dict[str, Any], expected: str, tmp_path: Path) -> None:
    refused(written(tmp_path, **changes), expected, "adapter_config.json")


@pytest.mark.parametrize("kind", sorted(REFUSED))
def test_types_that_change_no_weights(kind: str, tmp_path: Path) -> None:
    refused(written(tmp_path, peft_type=kind), kind, REFUSED[kind])


def test_all_reasons_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        read_config(written(tmp_path, layer_replication=[[0, 1]], arrow_config={"a": 1}, r=-1))
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize("start", [True, False, None, "gaussian", "eva", "orthogonal", "mica"])
def test_starts_that_leave_the_base_alone_are_plain(start: Any, tmp_path: Path) -> None:
    found = read_config(written(tmp_path, init_lora_weights=start))
    assert found.plain and found.label == "LoRA" and found.base == "acme/tiny"


@pytest.mark.parametrize(
    "changes",
    [
        {"use_dora": True}, {"modules_to_save": ["lm_head"]}, {"bias": "all"}, {"lora_bias": True},
        {"trainable_token_indices": [3]}, {"target_parameters": ["experts.w"]},
        {"init_lora_weights": "pissa"}, {"init_lora_weights": "olora"}, {"kasa_config": {"b": 1}},
    ],
)  # fmt: skip
def test_what_peft_has_to_merge(changes: dict[str, Any], tmp_path: Path) -> None:
    found = read_config(written(tmp_path, **changes))
    assert not found.plain and found.label == (
        "DoRA" if "use_dora" in changes else "LoRA with more"
    )


@pytest.mark.parametrize("kind", sorted(USABLE.keys() - {"LORA"}))
def test_other_types_are_read_by_their_names(kind: str, tmp_path: Path) -> None:
    found = read_config(written(tmp_path, peft_type=kind))
    assert (found.type, found.plain, found.label) == (kind, False, kind)
