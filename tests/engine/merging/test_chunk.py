"""What is drawn by lot depends on the place alone: tensor, element, expert (by its fingerprint) and
seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch

from engine.merging import basis, chunk
from engine.merging.basis import Tensors
from engine.merging.chunk import Chunk

Make = Callable[[Mapping[str, Mapping[str, torch.Tensor]]], Tensors]

NAMES = ("a.weight", "b.weight", "c.weight")
SHAPE = (60, 70)


@pytest.fixture
def tensors(make: Make) -> Tensors:
    """Three tensors of one shape, in which an expert differs from the base by 1, another by −1."""
    zero, one = torch.zeros(SHAPE), torch.ones(SHAPE)
    states = {"base": zero, "x": one, "y": -one}
    return make({model: {name: value.clone() for name in NAMES} for model, value in states.items()})


def masked(chunk: Chunk) -> torch.Tensor:
    """A toy method: half of the task vector's elements, drawn by lot."""
    return chunk.vectors * (chunk.lots(seed=0) < 0.5)


def merged(
    tensors: Tensors, name: str, *, kept: bool = False, **coefficients: float
) -> torch.Tensor:
    found = tensors.elementwise(masked)
    out = torch.empty(SHAPE)
    source = found.materialise() if kept else found
    source.combine(name, {"x": 0.0, "y": 0.0, **coefficients}, out)
    return out


def test_masks_differ_between_tensors_and_experts(tensors: Tensors) -> None:
    found = [merged(tensors, name, **{each: 1.0}).abs() for name in NAMES for each in ("x", "y")]
    for place, one in enumerate(found):
        assert one.mean() == pytest.approx(0.5, abs=0.03)
        for other in found[:place]:  # independent masks agree in half of the elements
            assert (one == other).float().mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("size", [41, 997, 4200])
def test_masks_do_not_depend_on_the_size_of_chunks(
    tensors: Tensors, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    whole = merged(tensors, NAMES[1], x=1.0, y=0.5)
    monkeypatch.setattr(basis, "CHUNK", size)
    assert torch.equal(merged(tensors, NAMES[1], x=1.0, y=0.5), whole)
    assert torch.equal(merged(tensors, NAMES[1], kept=True, x=1.0, y=0.5), whole)


def test_chunks_say_where_they_lie(tensors: Tensors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(basis, "CHUNK", 3000)
    found = [(each.name, each.start, each.vectors.shape[1]) for each in tensors.chunks()]
    assert found == [(name, at, k) for name in NAMES for at, k in ((0, 3000), (3000, 1200))]
    assert next(tensors.chunks()).experts == ("x", "y")


def test_lots_do_not_depend_on_how_many_are_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Chunk("w", 5000, ("x", "y"), torch.zeros(2, 4000), lambda: {"x": "one", "y": "other"})
    whole = made.lots(0)
    monkeypatch.setattr(chunk, "_SPAN", 997)
    assert torch.equal(made.lots(0), whole)
    part = made._replace(start=5000 + 1500, vectors=torch.zeros(2, 2500))
    assert torch.equal(part.lots(0), whole[:, 1500:])


def test_lots_are_even_and_of_their_own_for_every_seed() -> None:
    chunk = Chunk("w", 1 << 40, ("x",), torch.zeros(1, 20_000), lambda: {"x": "fingerprint"})
    first, second = chunk.lots(0)[0], chunk.lots(1)[0]
    assert float(first.min()) >= 0.0 and float(first.max()) < 1.0
    counts = torch.histc(first, bins=10, min=0.0, max=1.0)
    assert float((counts - 2000).abs().max()) < 6 * 2000**0.5
    for other in (second, first.roll(1), chunk._replace(start=0).lots(0)[0]):
        assert abs(float(torch.corrcoef(torch.stack([first, other]))[0, 1])) < 0.03


def test_an_expert_counts_by_what_it_is_and_not_by_its_name() -> None:
    vectors, known = torch.zeros(2, 1000), {"x": "one", "y": "other", "z": "one"}
    first, second = Chunk("w", 0, ("x", "y"), vectors, lambda: known).lots(0)
    again, renamed = Chunk("w", 0, ("y", "z"), vectors, lambda: known).lots(0)
    assert torch.equal(again, second) and torch.equal(renamed, first)
    assert not torch.equal(first, second)


def test_no_file_is_hashed_where_no_lot_is_drawn(
    tensors: Tensors, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("hashed")

    monkeypatch.setattr("engine.merging.readers.fingerprints", refuse)
    out = torch.empty(SHAPE)
    tensors.elementwise(lambda chunk: chunk.vectors).combine(NAMES[0], {"x": 1.0, "y": 0.5}, out)
    assert torch.equal(out, torch.full(SHAPE, 0.5))
    with pytest.raises(AssertionError, match="hashed"):
        merged(tensors, NAMES[0], x=1.0)


def test_lots_stay_what_they_are() -> None:
    """Points are kept under a recipe that says no more than the seed."""
    known = {"x": "one", "y": "other"}
    chunk = Chunk("w", (1 << 32) + 5, ("x", "y"), torch.zeros(2, 3), lambda: known)
    found = (chunk.lots(7) * (1 << 24)).int().tolist()
    assert found == [[15783101, 16259250, 10688766], [7099019, 12066303, 13702147]]
