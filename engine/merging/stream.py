"""Streams of numbers made of a family's task vectors, for exact selection over a model or a tensor.

A sample takes spans of neighbours, evenly spread over all tensors as if they lay end to end; their
pitch is odd, so that they wander through the columns of a matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from engine.merging.basis import Tensors
from engine.merging.selection import Values

_SPAN = 64
_PITCH = 64 * _SPAN + 1
SAMPLE = 1 << 22
"""Elements of a sample, about."""


def stream(
    tensors: Tensors, of: Callable[[Tensor], Tensor], names: Sequence[str] | None = None
) -> Values:
    """What `of` makes of the task vectors of some tensors, or of the whole model's.

    Args:
        of: [n, k] float32 -> the same shape; each value must come from its own column alone.
    """
    chosen = tensors.names if names is None else names
    total = sum(tensors.merged_shape(name).numel() for name in chosen)

    def chunks() -> Iterator[Tensor]:
        return (of(chunk.vectors) for name in chosen for chunk in tensors.vectors(name))

    def sample() -> Iterator[Tensor]:
        pitch = max(_PITCH, total // SAMPLE * _SPAN + 1)
        passed = 0
        for name in chosen:
            vectors = _spans(tensors, name, -passed % pitch, pitch)
            passed += tensors.merged_shape(name).numel()
            tensors.tick()
            yield of(vectors)

    return Values(total, chunks, sample)


def _spans(tensors: Tensors, name: str, start: int, pitch: int) -> Tensor:
    """Task vectors [n, k] of the spans of a tensor that begin at `start` and every `pitch`."""
    count = max(0, (tensors.merged_shape(name).numel() - start - _SPAN) // pitch + 1)
    found = torch.zeros(len(tensors.experts), count, _SPAN, device=tensors.device)
    if not count:
        return found.view(len(found), 0)

    def of(tensor: Tensor) -> Tensor:
        flat = tensor.reshape(-1)
        return flat.as_strided((count, _SPAN), (pitch, 1), flat.storage_offset() + start).float()

    base = of(tensors.read("base", name))
    for row, expert in zip(found, tensors.experts, strict=True):
        if expert in tensors.full:
            torch.sub(of(tensors.read(expert, name)), base, out=row)
        elif (delta := tensors.delta(expert, name)) is not None:
            row.copy_(of(delta))
    return found.view(len(found), -1)
