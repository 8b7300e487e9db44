"""Bases on tensors small enough to check by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.errors import BadInput
from engine.merging import basis as module
from engine.merging.basis import Basis, Tensors
from engine.merging.merged_model import merged_tensor
from engine.recipe import METHODS

Make = Callable[[Mapping[str, Mapping[str, torch.Tensor]]], Tensors]


def combine(basis: Basis, name: str, **coefficients: float) -> torch.Tensor:
    out = torch.full(basis.tensors.shape(name), 99.0)
    basis.combine(name, coefficients, out)
    return out


def square(*values: float) -> dict[str, torch.Tensor]:
    return {"w": torch.tensor(values, dtype=torch.float32).view(2, 2)}


def arithmetic(tensors: Tensors) -> Basis:
    return METHODS["task_arithmetic"].build(tensors)


def test_task_arithmetic_by_hand(make: Make) -> None:
    tensors = make({"base": square(1, 2, 3, 4), "a": square(2, 2, 3, 4), "b": square(1, 4, 3, 0)})
    merged = combine(arithmetic(tensors), "w", a=0.5, b=0.25)
    assert torch.equal(merged, torch.tensor([[1.5, 2.5], [3.0, 3.0]]))


def test_linear_by_hand_and_only_proportions_matter(make: Make) -> None:
    tensors = make({"base": square(0, 0, 0, 8), "a": square(4, 0, 0, 0), "b": square(0, 4, 0, 0)})
    basis = METHODS["linear"].build(tensors)
    wanted = torch.tensor([[1.0, 2.0], [0.0, 2.0]])
    assert torch.equal(combine(basis, "w", base=1, a=1, b=2), wanted)
    assert torch.equal(combine(basis, "w", base=0.25, a=0.25, b=0.5), wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_zero_gives_the_base_and_one_hot_the_expert_bit_for_bit(
    make: Make, dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(0)

    def state(scale: float) -> dict[str, torch.Tensor]:
        spread = torch.randn(64, 8, generator=generator) * scale
        return {"w": (spread * 10 ** torch.randn(64, 8, generator=generator)).to(dtype)}

    models = {"base": state(1.0), "a": state(0.01), "b": state(30.0)}
    basis = arithmetic(make(models))
    for name, coefficients in (("base", (0, 0)), ("a", (1, 0)), ("b", (0, 1))):
        merged = merged_tensor(basis, "w", dict(zip("ab", coefficients, strict=True)))
        assert merged.dtype == dtype
        assert torch.equal(merged, models[name]["w"])


def test_integers_are_not_merged(make: Make) -> None:
    ids = torch.arange(4)
    tensors = make(
        {"base": {**square(1, 2, 3, 4), "ids": ids}, "a": {**square(2, 2, 3, 4), "ids": ids}}
    )
    assert tensors.names == ("w",)
    assert torch.equal(tensors.untouched("ids"), ids)


def test_accumulation_is_float32_and_rounded_once(make: Make) -> None:
    one, step = 256.0, 1.0  # 1 is half of bfloat16's spacing at 256
    models = {"base": {"w": torch.tensor([one], dtype=torch.bfloat16)}}
    for name in "abcd":
        models[name] = {"w": torch.tensor([one + 2 * step], dtype=torch.bfloat16)}
    basis = arithmetic(make(models))
    quarter = dict.fromkeys("abcd", 0.5)
    # four steps of half a task vector, each lost if it were rounded by itself
    assert merged_tensor(basis, "w", quarter).item() == one + 4 * step


def test_a_result_that_overflows_is_refused_by_name(make: Make) -> None:
    basis = arithmetic(
        make(
            {
                "base": {"w": torch.ones(3, dtype=torch.float16)},
                "a": {"w": torch.full((3,), 60000.0).half()},
            }
        )
    )
    with pytest.raises(BadInput, match=r"tensor w.*overflow float16"):
        merged_tensor(basis, "w", {"a": 2.0})


def test_a_tick_that_raises_ends_the_work(make: Make) -> None:
    class Stop(Exception):
        pass

    def stop() -> None:
        raise Stop

    tensors = make({"base": square(1, 2, 3, 4), "a": square(2, 2, 3, 4)})
    tensors.tick = stop
    with pytest.raises(Stop):
        combine(arithmetic(tensors), "w", a=1.0)


def test_chunks_of_whole_rows(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 10)
    state = {"long": torch.ones(2, 12), "v": torch.ones(25), "w": torch.ones(3, 2, 4)}
    tensors = make({"base": {**state, "s": torch.tensor(1.0), "no": torch.ones(3, 0)}, "x": {
        **state, "s": torch.tensor(1.0), "no": torch.ones(3, 0)}})  # fmt: skip
    found = {
        name: [(each.start, each.vectors.shape[1]) for each in tensors.vectors(name, rows=True)]
        for name in tensors.names
    }
    assert found == {
        "long": [(0, 12), (12, 12)], "v": [(0, 25)], "w": [(0, 8), (8, 8), (16, 8)],
        "s": [(0, 1)], "no": [],
    }  # fmt: skip


def test_rows_that_only_some_models_have(tmp_path: Path) -> None:
    from engine.family.compatibility import open_family
    from engine.study import load_study
    from tests.families import build_tied_family

    files = build_tied_family(tmp_path)
    study = load_study(files.study("helpful", "padded", "coder", tokenizer="coder"))
    family = open_family(study.family)
    tensors = Tensors(family)
    basis = arithmetic(tensors)
    name = family.base.embedding
    assert name is not None
    zero = merged_tensor(basis, name, {"helpful": 0.0, "padded": 0.0, "coder": 0.0})
    own = tensors.read("base", name)
    assert len(zero) == family.merged_rows > len(own)
    assert torch.equal(zero[: len(own)], own)
    plan = family.vocabulary_tensors[name]
    for extra in plan.extra:
        source: Any = tensors._readers[extra.model]
        rows = slice(extra.start, extra.stop)
        assert torch.equal(zero[rows], source.read(name, rows))
