"""The largest of a stream and of rows: exactly so many, of equal ones the earlier."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch

from engine.merging import basis, selection
from engine.merging.basis import Tensors
from engine.merging.largest import largest, largest_of_rows, largest_of_tensors
from engine.merging.selection import Values

Make = Callable[[Mapping[str, Mapping[str, torch.Tensor]]], Tensors]


def magnitudes(*shape: int) -> torch.Tensor:
    """Few different values, so that every threshold is met many times; one row of zeros."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randint(0, 7, shape, generator=generator).float()
    values[-1:] = 0.0
    return values


def by_sorting(values: torch.Tensor, count: int) -> torch.Tensor:
    order = values.sort(dim=-1, descending=True, stable=True).indices[..., :count]
    return torch.zeros_like(values, dtype=torch.bool).scatter(-1, order, True)


COUNTS = (0, 1, 5, 137, 600, 999, 1000)


@pytest.mark.parametrize("held", [0, 1000], ids=["streamed", "held"])
@pytest.mark.parametrize("size", [7, 300, 1000])
def test_exactly_so_many_of_a_stream(size: int, held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "HELD", held)
    values = magnitudes(3, 1000)
    stream = Values(1000, lambda: iter(values.split(size, 1)), lambda: iter([values[:, ::7]]))
    found = largest(stream, COUNTS)
    for count, one in zip(COUNTS, found, strict=True):
        wanted = by_sorting(values, count)
        assert torch.equal(one.of(values, 0), wanted), count
        assert torch.equal(one.of(values[:, 400:], 400), wanted[:, 400:]), count


@pytest.mark.parametrize("different", [False, True])
def test_exactly_so_many_of_every_row(different: bool) -> None:
    values = magnitudes(2, 6, 1000)
    if different:
        values += torch.rand(values.shape, generator=torch.Generator().manual_seed(1))
    for counts in (COUNTS, (1000, 0), (3,)):
        for count, found in zip(counts, largest_of_rows(values, counts), strict=True):
            assert torch.equal(found, by_sorting(values, count)), count


def test_each_tensor_is_by_itself(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(basis, "CHUNK", 11)
    values = {"w": magnitudes(5, 8), "b": magnitudes(3), "none": magnitudes(0, 4)}
    values["s"] = torch.tensor(2.0)
    zeros = {name: torch.zeros_like(each) for name, each in values.items()}
    tensors = make({"base": zeros, "x": {name: -each for name, each in values.items()}})
    masks = largest_of_tensors(tensors, lambda total: (total // 2, total))
    for name in tensors.names:
        found = [masks(chunk) for chunk in tensors.vectors(name)]
        if not values[name].numel():
            assert not found
            continue
        half, whole = (torch.cat([each[place] for each in found], 1) for place in (0, 1))
        flat = values[name].reshape(1, -1)
        assert torch.equal(half, by_sorting(flat, flat.numel() // 2)) and whole.all()
