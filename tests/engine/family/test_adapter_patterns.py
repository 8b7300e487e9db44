"""Patterns of an adapter's configuration: as peft matches them, and never without end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from peft.utils.other import get_pattern_key

from engine import apart
from engine.errors import BadInput
from engine.family.adapter_config import read_config
from engine.family.adapter_patterns import first_pattern, pattern_problems
from engine.family.compatibility import inspect_family
from engine.study import FamilySpec
from tests.families import FamilyFiles, build_tied_family

LONG = r"(\w+\.?)+!"
NAMES = ["model.layers.0.self_attn.q_proj", "model.layers.11.mlp.down_proj", "lm_head"]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "SECONDS", 0.2)


@pytest.mark.parametrize(
    "patterns",
    [
        ["q_proj", "down_proj"],
        [r"layers\.\d+\.mlp\.down_proj", "q_proj"],
        [r"layers.(0|1).*", "lm_head"],
        [".*_proj", "q_proj"],
        ["^lm_head$", "layers.1", "layers.11.mlp.down_proj"],
        [r"^model\.layers\.0\.self_attn\.q_proj"],
        ["[qd].*proj", "(?:x|lm)_head"],
    ],
)
def test_the_first_match_is_that_of_peft(patterns: list[str]) -> None:
    for name in NAMES:
        assert first_pattern(patterns, name, "x") == get_pattern_key(patterns, name)


def test_a_pattern_without_end_is_told() -> None:
    with pytest.raises(BadInput, match=r"rank_pattern: a pattern was stopped on the name 'a"):
        first_pattern([LONG], "a" * 50, "rank_pattern")


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"target_modules": LONG}, "target_modules: the pattern"),
        ({"exclude_modules": LONG}, "exclude_modules: the pattern"),
        ({"feedforward_modules": LONG}, "feedforward_modules: the pattern"),
        ({"modules_to_save": ["lm_head", LONG]}, "modules_to_save: the pattern"),
        ({"layers_pattern": LONG}, "layers_pattern: the pattern"),
        ({"lambda_pattern": {LONG: 1}}, "lambda_pattern: the pattern"),
        ({"target_modules": "("}, "target_modules: '(' is not a regular expression"),
        ({"modules_to_save": ["a)"]}, "not a regular expression"),
        ({"rank_pattern": dict.fromkeys(f"a{n}+" for n in range(5000))}, "5,000 patterns"),
    ],
)
def test_every_field_that_peft_matches_by(settings: dict[str, Any], what: str) -> None:
    [problem] = pattern_problems(settings, ["a" * 50], Path("adapter_config.json"))
    assert what in problem.what and problem.where == "adapter_config.json"


def test_what_people_write_passes() -> None:
    settings = {
        "target_modules": r".*\.(self_attn|mlp)\.(q|k|v|o|gate|up|down)_proj",
        "rank_pattern": {r"layers\.\d+\.q_proj": 8, "k_proj": 4},
        "modules_to_save": ["lm_head", "embed_tokens"],
        "layers_pattern": ["layers"],
        "target_parameters": ["experts.gate_up_proj"],
    }
    assert pattern_problems(settings, NAMES, Path("x")) == []


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> FamilyFiles:
    return build_tied_family(tmp_path_factory.mktemp("patterns"))


@pytest.mark.parametrize(
    "changes", [{"target_modules": LONG + "+"}, {"rank_pattern": {LONG: 4}}], ids=["target", "rank"]
)
def test_check_says_it_in_one_message(files: FamilyFiles, changes: dict[str, Any]) -> None:
    place = files.experts["terse"] / "adapter_config.json"
    before = place.read_text()
    place.write_text(json.dumps(json.loads(before) | changes))
    try:
        # a name without "!" behind it is what the pattern goes through again and again
        family, problems = inspect_family(FamilySpec(files.base, {"terse": files.experts["terse"]}))
    finally:
        place.write_text(before)
    assert family is None
    [problem] = problems
    assert "was stopped" in problem.what or "not a regular expression" in problem.what


def test_a_configuration_is_read_without_running_them(tmp_path: Path) -> None:
    document = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": LONG}
    (tmp_path / "adapter_config.json").write_text(json.dumps(document))
    assert read_config(tmp_path).r == 4
