"""What is read of a mergekit YAML, and what is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from engine.errors import BadInput
from engine.mergekit.document import MergeFile
from engine.mergekit.reading import read_mergekit


def read(document: Mapping[str, Any]) -> MergeFile:
    return read_mergekit(document, Path("/somewhere/merge.yaml"))


def arithmetic(*weights: Any, **parameters: Any) -> dict[str, Any]:
    """Task arithmetic of models m0, m1, … on base."""
    rows = [
        {"model": f"m{index}", "parameters": {"weight": weight}}
        for index, weight in enumerate(weights)
    ]
    document = {"merge_method": "task_arithmetic", "base_model": "base", "models": rows}
    return document | ({"parameters": parameters} if parameters else {})


def slices(*given: list[tuple[str, list[int]]], **more: Any) -> dict[str, Any]:
    """Slices of (model, layer range)."""
    rows = [
        {"sources": [{"model": name, "layer_range": layers} for name, layers in each]}
        for each in given
    ]
    return {"merge_method": "passthrough", "slices": rows, **more}


def test_models() -> None:
    found = read(arithmetic(1, [0, 1], normalize=True) | {"dtype": "float16"})
    assert [str(path) for path in found.models.values()] == [
        "/somewhere/base", "/somewhere/m0", "/somewhere/m1",
    ]  # fmt: skip
    (only,) = found.slices
    assert [each.parameters.get("weight") for each in only.sources] == [1, [0, 1], None]
    assert found.base == only.sources[2].model == "base-0"  # a base that is not listed stands last
    assert found.whole and found.dtype == "float16" and found.out_dtype is None


def test_slices() -> None:
    document = slices([("a", [0, 2])], [("b", [1, 3])], tokenizer_source="base")
    document["slices"][0]["parameters"] = {"scale": 2}
    found = read(document)
    assert [each.sources[0].layers for each in found.slices] == [(0, 2), (1, 3)]
    assert [each.sources[0].model for each in found.slices] == list(found.models)
    assert found.slices[0].parameters == {"scale": 2}
    assert not found.whole and found.tokenizer == "base"


def test_what_changes_no_result_is_passed_over() -> None:
    assert read(arithmetic(1, int8_mask=True)).parameters == {}


def test_one_directory_under_two_spellings_is_one_model() -> None:
    document = arithmetic(1)
    document["models"].append({"model": "./sub/../base"})
    assert len(read(document).models) == 2


def test_an_adapter_of_the_base_is_its_directory() -> None:
    document = arithmetic(1)
    document["models"][0]["model"] = "base+adapter"
    assert [path.name for path in read(document).models.values()] == ["base", "adapter"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"merge_method": "slurp"}, ("slurp", "linear")),
        ({"merge_method": ["linear"]}, ("merge_method",)),
        ({"merge_method": None}, ("merge_method",)),
        ({"slices": [{}]}, ("slices", "models are given too")),
        ({"tokenizer": {"source": "base", "pad_to_multiple_of": 8}}, ("pad_to_multiple_of",)),
        ({"tokenizer": {"source": "base"}, "tokenizer_source": "base"}, ("tokenizer_source",)),
        ({"modules": {}}, ("modules", "not supported")),
        ({"out_path": "./x"}, ("out_path", "given to the command")),
        ({"name": "first"}, ("name", "given to the command")),
        ({"merge_metod": 1}, ("merge_metod", "mean merge_method")),
        ({"models": None}, ("no models are listed",)),
        ({"models": {}}, ("no models are listed",)),
        ({"models": ["m1"]}, ("models[0]", "'m1'")),
        ({"models": [{"parameters": {"weight": 1}}]}, ("models[0]", "'model' is missing")),
        ({"models": [{"model": "m", "weight": 1}]}, ("models[0]", "'weight'")),
        ({"models": [{"model": "m", "parameters": {"epsilon": 1}}]}, ("epsilon",)),
        ({"models": [{"model": "m", "parameters": {"normalize": True}}]}, ("of the whole merge",)),
        ({"models": [{"model": "m", "parameters": [1]}]}, ("models[0].parameters", "[1]")),
        ({"models": [{"model": "a\0"}]}, ("models[0]", "not a path")),
        ({"models": [{"model": "m"}, {"model": "m"}]}, ("models[1].model", "listed twice")),
        ({"models": [{"model": "m+adapter"}]}, ("an adapter of another model", "first")),
        ({"models": [{"model": "base+one+two"}]}, ("models[0].model", "base+one+two")),
        ({"models": [{"model": "m", "layer_range": [0, 1]}]}, ("layer_range",)),
        ({"base_model": None}, ("needs a base", "base_model")),
        ({"base_model": {"model": "x"}}, ("base_model", "expected a path")),
        ({"parameters": {"normalise": True}}, ("normalise", "mean normalize")),
        ({"parameters": {"normalize": 2}}, ("normalize", "true or false")),
        ({"parameters": ["weight"]}, ("parameters", "expected a mapping")),
        ({"dtype": "int8"}, ("dtype", "int8")),
        ({"out_dtype": ["float32"]}, ("out_dtype", "expected a text")),
    ],
)
def test_is_refused_by_name(change: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(BadInput) as caught:
        read(arithmetic(1) | change)
    said = str(caught.value)
    assert "/somewhere/merge.yaml" in said
    for word in words:
        assert word in said
    assert all(each.fix for each in caught.value.problems)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (slices([("a", [0, 2]), ("b", [0, 2])]), ("slices[0]", "takes 1 model", "not 2")),
        (slices([("a", [2, 2])]), ("slices[0].sources[0].layer_range", "[2, 2]")),
        (slices([("a", [-1, 2])]), ("layer_range", "[-1, 2]")),
        (slices([]), ("slices[0].sources", "no sources are listed")),
        (slices([("a", [0, 1])]) | {"slices": []}, ("slices", "no slices are listed")),
        (
            {"merge_method": "linear"} | slices([("a", [0, 1]), ("b", [0, 2])]),
            ("slices[0].sources", "[1, 2] layers"),
        ),
        (
            slices([("a", [0, 1])]) | {"merge_method": "task_arithmetic", "base_model": "b"},
            ("slices[0]", "not among the sources"),
        ),
    ],
)
def test_slices_that_are_refused(document: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(BadInput) as caught:
        read(document)
    for word in words:
        assert word in str(caught.value)


def test_a_residual_weight_is_refused_with_the_reason() -> None:
    document = slices([("a", [0, 1])])
    document["slices"][0]["residual_weight"] = 0.5
    with pytest.raises(BadInput, match=r"residual_weight: .*makes nothing of it"):
        read(document)


def test_every_problem_at_once() -> None:
    document = arithmetic(1) | {"modules": 1, "parameters": {"x": 1}, "dtype": "int8"}
    with pytest.raises(BadInput) as caught:
        read(document)
    assert len(caught.value.problems) == 3
