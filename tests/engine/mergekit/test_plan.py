"""What each tensor is merged from: layers, depth, and the level whose setting counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.errors import BadInput
from engine.mergekit.plan import Step, layer_counts, layer_of, layers_taken, plan_steps
from engine.mergekit.reading import read_mergekit
from tests.engine.mergekit.test_reading import arithmetic, slices

OUTSIDE = ("model.embed_tokens.weight", "model.norm.weight", "lm_head.weight")
UP, Q = "model.layers.{}.mlp.up_proj.weight", "model.layers.{}.self_attn.q_proj.weight"
HEAD = "lm_head.weight"


def steps(document: dict[str, Any], layers: int = 5, **more: Any) -> dict[str, Step]:
    file = read_mergekit(document, Path("/somewhere/merge.yaml"))
    names = (*OUTSIDE, *(each.format(layer) for each in (UP, Q) for layer in range(layers)))
    found = plan_steps(file, names, more.pop("architecture", "LlamaForCausalLM"), **more)
    assert len({each.name for each in found}) == len(found)
    return {each.name: each for each in found}


def weights(document: dict[str, Any], tensor: str, layers: int = 5) -> list[float]:
    return [each.values["weight"] for each in steps(document, layers)[tensor].models]


def test_depth_goes_from_the_first_layer_to_the_last() -> None:
    document = arithmetic([0, 1, 0.5])
    found = [weights(document, UP.format(layer))[0] for layer in range(5)]
    assert found == [0.0, 0.5, 1.0, 0.75, 0.5]
    assert [weights(document, each)[0] for each in OUTSIDE] == [0.0, 0.0, 0.0]
    assert weights(document, UP.format(0), layers=1) == [0.5]  # a single layer is the last


def test_the_base_stands_apart_from_the_models() -> None:
    document = arithmetic(1, 2)
    step = steps(document)[HEAD]
    assert step.base is not None and step.base.model == "base-0"
    assert [each.values["weight"] for each in step.models] == [1.0, 2.0]
    document["models"].insert(0, {"model": "base"})  # listed or not: it has no weight
    assert [each.values["weight"] for each in steps(document)[HEAD].models] == [1.0, 2.0]


def test_the_base_is_one_of_the_models_where_the_method_has_it_so() -> None:
    document = arithmetic(1, 2, weight=4) | {"merge_method": "linear"}
    assert weights(document, HEAD) == [1.0, 2.0, 4.0]
    with pytest.raises(BadInput, match=r"weight of base: 'weight' is missing"):
        steps(arithmetic(1, 2) | {"merge_method": "linear"})


def test_a_model_goes_before_the_file() -> None:
    document = arithmetic([{"filter": "mlp", "value": 1}], None, weight=[0.5, 1.0])
    assert weights(document, UP.format(0)) == [1.0, 0.5]
    assert weights(document, Q.format(4)) == [1.0, 1.0]
    with pytest.raises(BadInput, match="no filter matches"):
        steps(arithmetic([{"filter": "mlp", "value": 1}]))


def test_slices_number_their_layers_anew() -> None:
    document = slices([("a", [0, 3])], [("b", [1, 4])])
    found = steps(document)
    assert layer_counts(tuple(found)) == {"model.layers.": 6}
    taken = [found[UP.format(layer)].source for layer in range(6)]
    assert [(each.model, each.tensor) for each in taken] == [
        *(("a-0", UP.format(layer)) for layer in range(3)),
        *(("b-1", UP.format(layer)) for layer in range(1, 4)),
    ]
    file = read_mergekit(document, Path("merge.yaml"))
    assert [layer for _, layer in layers_taken(file)] == [0, 1, 2, 1, 2, 3]


def test_what_lies_outside_the_layers_is_of_the_first_slice_or_the_last() -> None:
    document = slices([("a", [0, 3])], [("b", [1, 4])])
    found = steps(document)
    assert [found[each].source.model for each in OUTSIDE] == ["a-0", "b-1", "b-1"]
    found = steps(document, architecture="NewForCausalLM")  # mergekit knows no order of it
    assert [found[each].source.model for each in OUTSIDE] == ["a-0", "a-0", "a-0"]


def test_a_source_goes_before_its_slice_and_that_before_the_file() -> None:
    document = slices([("a", [0, 2]), ("b", [0, 2])], [("a", [2, 4]), ("b", [1, 3])])
    document |= {"merge_method": "linear", "parameters": {"weight": [4, 6]}}
    document["slices"][0]["parameters"] = {"weight": [{"filter": "layers.1", "value": 3}]}
    document["slices"][0]["sources"][0]["parameters"] = {
        "weight": {"filter": "self_attn", "value": 1}
    }
    assert weights(document, Q.format(1)) == [1.0, 3.0]
    assert weights(document, UP.format(1)) == [3.0, 3.0]
    assert weights(document, UP.format(0)) == [4.0, 4.0]  # depth starts anew in every slice
    assert weights(document, UP.format(3)) == [6.0, 6.0]
    # a filter looks at a model's own name: layer 2 of the result is layer 1 of b
    document["slices"][1]["parameters"] = {"weight": [{"filter": "layers.1.", "value": 9}]}
    assert weights(document, UP.format(2)) == [4.0, 9.0]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (slices([("a", [0, 6])]), "a has 5 layers, not 6"),
        (slices([("a", [0, 2])], [("b", [4, 9])]), r"slices\[1\].*b has 5 layers, not 9"),
    ],
)
def test_layers_that_are_not_there(document: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        steps(document)


def test_models_of_other_depths() -> None:
    depths = {"a-0": 3, "b-1": 5}
    found = steps(slices([("a", [0, 3])], [("b", [3, 5])]), depths=depths)
    taken = [(each.model, each.tensor) for each in (found[Q.format(n)].source for n in (2, 3, 4))]
    assert taken == [("a-0", Q.format(2)), ("b-1", Q.format(3)), ("b-1", Q.format(4))]
    with pytest.raises(BadInput, match=r"slices\[1\].*a has 3 layers, not 4"):
        steps(slices([("b", [0, 5])], [("a", [2, 4])]), depths={"a-1": 3, "b-0": 5})


def test_a_model_of_several_stacks_cannot_be_sliced() -> None:
    file = read_mergekit(slices([("a", [0, 1])]), Path("merge.yaml"))
    names = ("encoder.block.0.w", "decoder.block.0.w")
    with pytest.raises(BadInput, match=r"one stack.*decoder.block., encoder.block."):
        plan_steps(file, names)


def test_what_is_not_merged_is_copied() -> None:
    found = steps(arithmetic(1), beside=frozenset({UP.format(0)}))
    assert found[UP.format(0)].inputs == () and found[UP.format(1)].inputs


@pytest.mark.parametrize(
    ("tensor", "layer"),
    [
        ("model.layers.11.mlp.up_proj.weight", 11), ("h.3.attn.c_attn.weight", 3),
        ("transformer.h.3.ln_1.weight", 3), ("gpt_neox.layers.0.x.weight", 0),
        ("model.embed_tokens.weight", None), ("lm_head.weight", None),
        ("model.layers.x.weight", None),
    ],
)  # fmt: skip
def test_layers_by_name(tensor: str, layer: int | None) -> None:
    found = layer_of(tensor)
    assert (None if found is None else found.number) == layer
    if found is not None:
        assert found.at(found.number) == tensor
