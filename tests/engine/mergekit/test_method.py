"""What every method of mergekit is given, and what is refused before it is asked."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from engine.errors import BadInput
from engine.mergekit import MERGES, find_merge
from engine.mergekit.method import OUT, merge

from .golden import merged

WEIGHT = {"weight": 1.0}


def test_every_method_says_what_it_is() -> None:
    for each in MERGES.values():
        assert each.summary.endswith(".") and each.source
        for parameter in (*each.each, *each.shared):
            assert parameter.sentence.endswith("."), (each.name, parameter.name)


def test_a_name_is_registered_once() -> None:
    def linear(inputs: object) -> torch.Tensor:
        raise AssertionError

    with pytest.raises(ValueError, match="twice"):
        merge(summary="It.", source="x", base="plain")(linear)


def test_a_method_mergekit_has_not_is_refused_with_near_ones() -> None:
    with pytest.raises(BadInput, match="Did you mean task_arithmetic"):
        find_merge("task_arithmetics", "merge.yaml")


def test_what_is_no_method_of_mergekit_is_refused_with_the_reason() -> None:
    for name in OUT:
        assert name not in MERGES
        with pytest.raises(BadInput, match=f"{name} is no method of mergekit 0.1.5"):
            find_merge(name, "merge.yaml")
    with pytest.raises(BadInput, match="pcb is a method of recipes here"):
        find_merge("pcb", "merge.yaml")


def test_all_of_mergekits_methods_are_here() -> None:
    said = """linear slerp nuslerp multislerp karcher task_arithmetic ties dare_linear dare_ties
    della della_linear breadcrumbs breadcrumbs_ties sce model_stock nearswap arcee_fusion
    ram ramplus_tl passthrough"""
    assert set(MERGES) == set(said.split())


def test_tensors_of_two_types_are_merged_in_the_wider() -> None:
    got = merged("linear", None, (torch.ones(1).half(), WEIGHT), (torch.ones(1).bfloat16(), WEIGHT))
    assert got.dtype == torch.float32
    got = merged("linear", None, (torch.ones(1), WEIGHT), dtype=torch.bfloat16)
    assert got.dtype == torch.bfloat16


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(BadInput, match=r"\(2,\) and \(3,\)"):
        merged("linear", None, (torch.ones(2), WEIGHT), (torch.ones(3), WEIGHT))


def test_buffers_pass_through_where_they_are_equal() -> None:
    whole = torch.arange(3)
    assert torch.equal(merged("linear", None, (whole, WEIGHT), (whole.clone(), WEIGHT)), whole)
    with pytest.raises(BadInput, match="whole numbers"):
        merged("linear", None, (whole, WEIGHT), (whole + 1, WEIGHT))
    with pytest.raises(BadInput, match="whole numbers"):
        merged("linear", None, (whole, WEIGHT), (whole.int(), WEIGHT))


def test_a_required_parameter_and_a_base_are_asked_for() -> None:
    with pytest.raises(BadInput, match="needs weight"):
        merged("linear", None, (torch.ones(2), {}))
    with pytest.raises(BadInput, match="needs a base"):
        merged("task_arithmetic", None, (torch.ones(2), WEIGHT))
    with pytest.raises(BadInput, match="at least 1"):
        merged("linear", None)


def test_the_registry_is_read_without_torch() -> None:
    asked = "import sys, engine.mergekit; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
