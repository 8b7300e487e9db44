"""Bases whose W_i are products of thin factors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest
import torch

from engine.errors import BadInput
from engine.merging import low_rank
from engine.merging.basis import Computed, Tensors
from engine.merging.low_rank import Factors, LowRank, Whole

Make = Callable[[Mapping[str, Mapping[str, torch.Tensor]]], Tensors]


def state(seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "m": torch.randn(9, 7, generator=generator),
        "n": torch.randn(5, generator=generator),
    }


@pytest.fixture
def tensors(make: Make) -> Tensors:
    return make({name: state(seed) for seed, name in enumerate(("base", "a", "b"))})


class FirstColumn:
    """A toy method: the first column of every task vector; it counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, whole: Whole) -> Sequence[Factors]:
        self.asked += 1
        first = torch.eye(whole.shape[1])[:1]
        return [Factors(whole.vector(each)[:, :1], first) for each in whole.experts]


def basis_of(tensors: Tensors, factor: FirstColumn) -> LowRank:
    others = tensors.elementwise(lambda chunk: chunk.vectors)
    return LowRank(tensors, factor, lambda name: name == "m", others)


def merged(basis: object, name: str, a: float, b: float) -> torch.Tensor:
    assert isinstance(basis, Computed | low_rank.Kept)
    out = torch.full(basis.tensors.shape(name), 99.0)
    basis.combine(name, {"a": a, "b": b}, out)
    return out


def test_a_product_is_added_to_the_base(tensors: Tensors) -> None:
    found = merged(basis_of(tensors, FirstColumn()), "m", 0.5, 2.0)
    wanted = state(0)["m"]
    for seed, weight in ((1, 0.5), (2, 2.0)):
        wanted[:, 0] += weight * (state(seed)["m"] - state(0)["m"])[:, 0]
    torch.testing.assert_close(found, wanted)
    plain = state(0)["n"] + 0.5 * (state(1)["n"] - state(0)["n"])
    torch.testing.assert_close(merged(basis_of(tensors, FirstColumn()), "n", 0.5, 0.0), plain)


@pytest.mark.parametrize("multiplied", [True, False])
def test_what_is_kept_is_asked_for_once_and_gives_the_same_bits(
    tensors: Tensors, monkeypatch: pytest.MonkeyPatch, multiplied: bool
) -> None:
    products = 2 * 4 * 9 * 7
    monkeypatch.setattr(low_rank, "PRODUCTS", products if multiplied else products - 1)
    on_the_way, counted = basis_of(tensors, FirstColumn()), FirstColumn()
    kept = basis_of(tensors, counted).materialise()
    for a, b in ((0.3, -0.7), (1.0, 0.0), (0.0, 0.0)):
        for name in tensors.names:
            assert torch.equal(merged(kept, name, a, b), merged(on_the_way, name, a, b))
    assert counted.asked == 1
    assert kept.bytes == (products if multiplied else 2 * 4 * (9 + 7))


def test_zero_coefficients_are_the_base_and_ask_for_nothing(tensors: Tensors) -> None:
    factor = FirstColumn()
    assert torch.equal(merged(basis_of(tensors, factor), "m", 0.0, 0.0), state(0)["m"])
    assert not factor.asked


def test_a_vector_is_read_in_chunks(tensors: Tensors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(low_rank, "CHUNK", 10)
    assert torch.equal(Whole(tensors, "m").vector("a"), state(1)["m"] - state(0)["m"])


def test_a_difference_that_overflows_is_refused_by_name(make: Make) -> None:
    one, other = (torch.full((2, 2), each) for each in (3e38, -3e38))
    tensors = make({"base": {"m": one}, "a": {"m": other}})
    with pytest.raises(BadInput, match=r"tensor m: the difference of a .*overflows float32"):
        Whole(tensors, "m").vector("a")


def test_a_tick_that_raises_ends_the_work(tensors: Tensors) -> None:
    class Stop(Exception):
        pass

    def stop() -> None:
        raise Stop

    tensors.tick = stop
    with pytest.raises(Stop):
        basis_of(tensors, FirstColumn()).materialise()
