"""What every method in weight space promises, whatever its formula: the registry says which those
are, what their parameters may be and which corners they reach, so a new method is tested by itself.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import engine
from engine.bands import GROUPS
from engine.errors import BadInput
from engine.family.compatibility import Family, open_family
from engine.family.weights import Reader
from engine.merging import basis as bases
from engine.merging import merged_model
from engine.merging.basis import Basis, Computed, Tensors
from engine.merging.merged_model import merged_parts, merged_tensor
from engine.method import METHODS, Method
from engine.parameter import Parameter
from engine.recipe import Names, Recipe, resolve
from engine.study import load_study
from tests.families import build_tied_family

from .conftest import raw_tensors

assert engine.merging  # registers

WEIGHT = [each for each in METHODS.values() if each.space == "weight" and each.takes_coefficients]
SUMS = [each for each in WEIGHT if not each.simplex]
LINEAR = [each for each in WEIGHT if any(one.name == "strength" for one in each.parameters)]
SHAPES = {
    "a.weight": (12, 9), "b.bias": (7,), "c.weight": (3, 2, 4), "d.scale": (), "e.row": (1, 5),
    "f.none": (0, 4),
}  # fmt: skip
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
EXPERTS = ("x", "y", "z")
CLOSE = 1e-5  # of the largest value; the published vectors of singular values promise 4e-6

few = settings(
    max_examples=12,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
State = dict[str, torch.Tensor]


def named(methods: list[Method]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("method", methods, ids=lambda each: each.name)


@dataclass(frozen=True)
class Case:
    """A base and experts, the base first, with a recipe that the method takes."""

    models: Mapping[str, State]
    coefficients: Mapping[str, float]
    parameters: Mapping[str, Any]

    @property
    def experts(self) -> tuple[str, ...]:
        return tuple(self.models)[1:]


def value_of(parameter: Parameter) -> st.SearchStrategy[Any]:
    """Values that a parameter may have, its default and the ends of its range among them."""
    if parameter.kind == "choice":
        return st.sampled_from(sorted(parameter.choices))
    if parameter.kind == "flag":
        return st.booleans()
    if parameter is GROUPS:  # these models have no layers; tests/engine/merging/test_banded.py
        return st.just(1)
    if parameter.kind == "model":
        return st.sampled_from(("base", *EXPERTS[:1]))
    limits = parameter.limits
    low = limits.low if math.isfinite(limits.low) else -10.0
    high = limits.high if math.isfinite(limits.high) else low + 20.0
    if parameter.kind == "int":
        return st.integers(math.ceil(low), math.floor(high))
    return st.just(parameter.default) | st.floats(
        low, high, exclude_min=limits.open_low, exclude_max=limits.open_high
    )


def models_of(seed: int, count: int, dtype: torch.dtype) -> dict[str, State]:
    """Base and experts; differences of many sizes, a fifth of them 0, one tensor untouched."""
    generator = torch.Generator().manual_seed(seed)

    def spread(shape: tuple[int, ...]) -> torch.Tensor:
        values = torch.randn(shape, generator=generator)
        return values * 10 ** torch.randn(shape, generator=generator).clamp(-2, 1)

    zero = {name: spread(shape).to(dtype) for name, shape in SHAPES.items()}
    models = {"base": zero}
    for expert in EXPERTS[:count]:
        models[expert] = {}
        for name, tensor in zero.items():
            change = 0.1 * spread(SHAPES[name])
            change *= torch.rand(SHAPES[name], generator=generator) > 0.2
            models[expert][name] = tensor if name == "e.row" else (tensor + change).to(dtype)
    return models


@st.composite
def cases(draw: st.DrawFn, method: Method, dtypes: tuple[torch.dtype, ...] = DTYPES) -> Case:
    models = models_of(
        draw(st.integers(0, 1 << 30)), draw(st.integers(1, 3)), draw(st.sampled_from(dtypes))
    )
    experts = tuple(models)[1:]
    names = method.coefficient_names(Names(experts))
    number = st.sampled_from((0.0, 1.0, 0.5)) | st.floats(-1.5, 1.5, width=32)
    coefficients = {name: draw(number) for name in names}
    assume(not method.simplex or abs(math.fsum(coefficients.values())) > 0.1)
    parameters = {each.name: draw(value_of(each)) for each in method.parameters}
    try:
        recipe = resolve(Recipe(method.name, coefficients, parameters), Names(experts))
    except BadInput:  # parameters that the method does not take together
        assume(False)
    return Case(models, dict(recipe.coefficients), dict(recipe.parameters))


@contextmanager
def opened(models: Mapping[str, State]) -> Iterator[Tensors]:
    with tempfile.TemporaryDirectory() as folder:
        yield raw_tensors(Path(folder), models)


def built(method: Method, case: Case, tensors: Tensors) -> Basis:
    basis: Basis = method.build(tensors, **method.structural(case.parameters))
    return basis


def wide(basis: Basis, coefficients: Mapping[str, float]) -> State:
    """θ(c), float32, unrounded."""
    found = {name: torch.full(basis.tensors.shape(name), math.nan) for name in basis.tensors.names}
    for name, out in found.items():
        basis.combine(name, coefficients, out)
    return found


def same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    kind = torch.int32 if one.dtype == torch.float32 else torch.int16
    return one.dtype == other.dtype and torch.equal(one.view(kind), other.view(kind))


def close(one: State, other: State) -> bool:
    scale = max(1.0, *(float(each.abs().max()) for each in other.values() if each.numel()))
    return all(torch.allclose(one[n], other[n], rtol=0, atol=CLOSE * scale) for n in other)


def corner(method: Method, case: Case, model: str | None) -> dict[str, float]:
    """One coefficient of 1, the others 0; all 0 for None."""
    names = method.coefficient_names(Names(case.experts))
    return {name: float(name == model) for name in names}


@named([each for each in WEIGHT if each.corners.zero == "base"])
@few
@given(data=st.data())
def test_zero_coefficients_are_the_base_bit_for_bit(method: Method, data: st.DataObject) -> None:
    case = data.draw(cases(method))
    with opened(case.models) as tensors:
        basis = built(method, case, tensors)
        for name, wanted in case.models["base"].items():
            assert same_bits(merged_tensor(basis, name, corner(method, case, None)), wanted)


@named([each for each in WEIGHT if each.corners.one is not False])
@few
@given(data=st.data())
def test_one_hot_is_the_model_where_corners_are(method: Method, data: st.DataObject) -> None:
    case = data.draw(cases(method))
    with opened(case.models) as tensors:
        basis = built(method, case, tensors)
        for model in method.coefficient_names(Names(case.experts)):
            for name, wanted in case.models[model].items():
                assert same_bits(merged_tensor(basis, name, corner(method, case, model)), wanted)


@named(WEIGHT)
@few
@given(data=st.data())
def test_parts_are_the_whole(method: Method, data: st.DataObject) -> None:
    case = data.draw(cases(method))
    names = method.coefficient_names(Names(case.experts))
    coefficients = {name: 0.3 + 0.4 * place for place, name in enumerate(names)}
    with opened(case.models) as tensors, patch.object(merged_model, "QUANTUM", 7):
        basis = built(method, case, tensors)
        for name in case.models["base"]:
            whole = merged_tensor(basis, name, coefficients)
            parts = list(merged_parts(basis, name, coefficients))
            assert all(1 <= len(each) <= 7 for each in parts)
            assert same_bits(torch.cat(parts) if parts else whole.view(-1)[:0], whole.view(-1))


@named(WEIGHT)
@few
@given(data=st.data())
def test_the_order_of_the_experts_does_not_matter(method: Method, data: st.DataObject) -> None:
    case = data.draw(cases(method))
    turned = {"base": case.models["base"]}
    turned |= {name: case.models[name] for name in reversed(case.experts)}
    with opened(case.models) as tensors, opened(turned) as others:
        first = wide(built(method, case, tensors), case.coefficients)
        assert close(wide(built(method, case, others), case.coefficients), first)


@named(LINEAR)
@few
@given(data=st.data(), factor=st.floats(0.0, 3.0, width=32))
def test_strength_scales_what_is_added(method: Method, data: st.DataObject, factor: float) -> None:
    case = data.draw(cases(method))
    scaled = {name: factor * value for name, value in case.coefficients.items()}
    with opened(case.models) as tensors:
        basis = built(method, case, tensors)
        zero = {name: each.float() for name, each in case.models["base"].items()}
        whole = wide(basis, case.coefficients)
        wanted = {name: zero[name] + factor * (whole[name] - zero[name]) for name in zero}
        assert close(wanted, wide(basis, scaled))


@named(WEIGHT)
@few
@given(data=st.data())
def test_a_result_is_finite_and_rounded_once(method: Method, data: st.DataObject) -> None:
    case = data.draw(cases(method))
    with opened(case.models) as tensors:
        basis = built(method, case, tensors)
        whole = wide(basis, case.coefficients)
        for name, wanted in case.models["base"].items():
            assert whole[name].isfinite().all() and whole[name].shape == wanted.shape
            if bool(whole[name].to(wanted.dtype).isfinite().all()):
                got = merged_tensor(basis, name, case.coefficients)
                assert same_bits(got, whole[name].to(wanted.dtype))


@named(WEIGHT)
@few
@given(data=st.data(), size=st.integers(1, 40))
def test_neither_chunks_nor_a_kept_basis_change_a_bit(
    method: Method, data: st.DataObject, size: int
) -> None:
    case = data.draw(cases(method))
    with opened(case.models) as tensors, pytest.MonkeyPatch.context() as patch:
        basis = built(method, case, tensors)
        whole = wide(basis, case.coefficients)
        patch.setattr(bases, "CHUNK", size)
        for name, each in wide(basis, case.coefficients).items():
            assert torch.equal(each, whole[name])
        if isinstance(basis, Computed):
            for name, each in wide(basis.materialise(), case.coefficients).items():
                assert torch.equal(each, whole[name])


@named(SUMS)
@few
@given(data=st.data())
def test_an_expert_equal_to_the_base_moves_nothing(method: Method, data: st.DataObject) -> None:
    case = data.draw(cases(method))
    models = {**case.models, "same": case.models["base"]}
    with opened(models) as tensors:
        basis = built(method, case, tensors)
        without = wide(basis, {**case.coefficients, "same": 0.0})
        for name, each in wide(basis, {**case.coefficients, "same": 1.25}).items():
            assert each.isfinite().all()
            assert torch.allclose(each, without[name], rtol=0, atol=CLOSE)


@named(SUMS)
def test_experts_are_still_merged_beside_one_equal_to_the_base(method: Method) -> None:
    models = {**models_of(5, 2, torch.float32)}
    models["same"] = models["base"]
    with opened(models) as tensors:
        defaults = {each.name: each.default for each in method.parameters}
        basis = built(method, Case(models, {}, defaults), tensors)
        for expert in ("x", "y"):
            found = wide(basis, {"x": 0.0, "y": 0.0, "same": 1.0, expert: 1.0})
            assert not torch.equal(found["a.weight"], models["base"]["a.weight"])


@pytest.fixture(scope="module")
def tied(tmp_path_factory: pytest.TempPathFactory) -> Family:
    """Experts with padded and with added rows, and an adapter, on a base with a tied head."""
    files = build_tied_family(tmp_path_factory.mktemp("tied"))
    study = load_study(files.study("helpful", "padded", "coder", "terse", tokenizer="coder"))
    return open_family(study.family)


@named(WEIGHT)
def test_tied_weights_count_once_and_added_rows_are_their_experts(
    method: Method, tied: Family
) -> None:
    tensors = Tensors(tied)
    assert "lm_head.weight" not in tensors.names
    defaults = {each.name: each.default for each in method.parameters}
    basis = built(method, Case({}, {}, defaults), tensors)
    name = tied.base.embedding
    assert name is not None
    names = method.coefficient_names(Names(tensors.experts))
    found = torch.full(tensors.shape(name), math.nan)
    basis.combine(name, {each: 0.5 for each in names}, found)
    assert found.isfinite().all() and len(found) == tied.merged_rows
    own = tensors.read("base", name)
    assert len(own) < len(found) and not torch.equal(found[: len(own)], own.float())
    extra = tied.vocabulary_tensors[name].extra
    assert sum(each.stop - each.start for each in extra) == len(found) - len(own)
    for each in extra:
        rows = slice(each.start, each.stop)
        with Reader(tied.models[each.model]) as reader:
            assert torch.equal(found[rows], reader.read(name)[rows].float())


def part_of_change(method: Method, tensors: Tensors, **coefficients: float) -> torch.Tensor:
    """What a merge with these coefficients, 0 where there is none, adds to the base."""
    out = torch.empty(tensors.shape("m"))
    wanted = {"x": 0.0, "y": 0.0} | coefficients
    method.build(tensors).combine("m", wanted, out)
    return out - tensors.read("base", "m")


@named(SUMS)
def test_a_method_is_linear_where_it_says_so(method: Method, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(5)
    base = torch.randn(12, 9, generator=generator)
    near = {name: base + 0.2 * torch.randn(12, 9, generator=generator) for name in ("x", "y")}
    tensors = raw_tensors(tmp_path, {"base": {"m": base}, **{k: {"m": v} for k, v in near.items()}})
    together = part_of_change(method, tensors, x=1.5, y=0.5)
    apart = 1.5 * part_of_change(method, tensors, x=1.0)
    apart += 0.5 * part_of_change(method, tensors, y=1.0)
    assert torch.allclose(together, apart, rtol=0, atol=1e-5) == method.linear
