"""Streams of task vectors: all of them, and a sample that stands for all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch

from engine.family.compatibility import open_family
from engine.merging import basis, selection
from engine.merging.basis import Tensors
from engine.merging.selection import order_statistics
from engine.merging.stream import stream
from engine.study import load_study
from tests.families import build_tied_family

Make = Callable[[Mapping[str, Mapping[str, torch.Tensor]]], Tensors]


def family(make: Make) -> tuple[Tensors, torch.Tensor]:
    """Tensors of many sizes, and their task vectors end to end."""
    generator = torch.Generator().manual_seed(2)
    shapes = {"a": (301, 67), "b": (5,), "c": (), "d": (0, 3), "e": (40, 1000), "f": (9000,)}
    base = {name: torch.zeros(shape) for name, shape in shapes.items()}
    experts = {
        expert: {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
        for expert in ("x", "y")
    }
    flat = [torch.cat([each.reshape(-1) for each in own.values()]) for own in experts.values()]
    return make({"base": base, **experts}), torch.stack(flat)


def test_all_values_in_order(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(basis, "CHUNK", 1000)
    tensors, vectors = family(make)
    found = stream(tensors, torch.abs)
    assert found.total == vectors.shape[1]
    assert torch.equal(torch.cat(list(found.chunks()), 1), vectors.abs())
    only = stream(tensors, torch.neg, ["b", "c"])
    assert only.total == 6 and sum(each.shape[1] for each in only.chunks()) == 6


def test_a_sample_is_spread_over_all_tensors(make: Make) -> None:
    tensors, vectors = family(make)
    sample = torch.cat(list(stream(tensors, lambda each: each).sample()), 1)
    spans = [start for start in range(0, vectors.shape[1], 64 * 64 + 1)]
    assert abs(sample.shape[1] - 64 * len(spans)) <= 2 * 64  # but for those across two tensors
    for start in spans[:5]:  # of the first tensor
        part = vectors[:, start : start + 64]
        place = start // (64 * 64 + 1) * 64
        if start + 64 <= 301 * 67:
            assert torch.equal(sample[:, place : place + 64], part)


def test_adapters_and_added_rows_are_sampled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = build_tied_family(tmp_path)
    study = load_study(files.study("helpful", "padded", "coder", "terse", tokenizer="coder"))
    tensors = Tensors(open_family(study.family))
    monkeypatch.setattr(selection, "HELD", 0)
    values = stream(tensors, torch.abs)
    ranks = [values.total // 2, values.total - 1]
    whole = torch.cat(list(values.chunks()), 1).sort(1).values
    assert order_statistics(values, ranks) == [[float(row[r]) for r in ranks] for row in whole]
    wide = torch.cat(list(values.sample()), 1)
    assert wide.shape[0] == 4 and wide.shape[1] > 0 and bool(wide.any(1).all())
