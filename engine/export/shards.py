"""Writes safetensors tensor by tensor, or part by part, so that a merge never holds more than that.

The layout is planned from shapes alone: header first, then the bytes in the same order. The
library's own writer wants every tensor of a file in memory at once, which an 8 GB limit on a 16 GB
model forbids.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from engine.export.layout import Planned, in_order, index_of, plan_shards, shard_header

NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.uint64: "U64",
    torch.uint32: "U32",
    torch.uint16: "U16",
    torch.complex64: "C64",
    torch.bool: "BOOL",
}


Made = Tensor | Iterable[Tensor]
"""A tensor, or its parts in order, each of one dimension; on any device."""


def write_shard(file: Path, tensors: Sequence[Planned], produce: Callable[[str], Made]) -> None:
    """Write one safetensors file.

    Args:
        produce: name -> the tensor, of the planned dtype and shape.
    """
    with file.open("wb") as stream:
        stream.write(shard_header(tensors))
        for each in in_order(tensors):
            made = produce(each.name)
            written = 0
            for part in (made,) if isinstance(made, Tensor) else made:
                written += _write_part(stream, each, part, whole=part is made)
            if written != math.prod(each.shape):
                what = f"planned {math.prod(each.shape)} elements, got {written}"
                raise ValueError(f"{each.name}: {what}")


def _write_part(stream: BinaryIO, planned: Planned, part: Tensor, whole: bool) -> int:
    """Write some elements of a tensor; how many."""
    shape = tuple(part.shape)
    if NAMES.get(part.dtype) != planned.dtype or (whole and shape != planned.shape):
        what = f"planned {planned.dtype} {planned.shape}, got {part.dtype} {shape}"
        raise ValueError(f"{planned.name}: {what}")
    raw = part.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    stream.write(raw.numpy().tobytes() if raw.numel() < 1 << 20 else raw.numpy().data)
    return part.numel()


def write_model(
    out: Path, tensors: Sequence[Planned], produce: Callable[[str], Made], limit: int
) -> list[str]:
    """Write all shards and, for several, their index; returns the file names."""
    shards = plan_shards(tensors, limit)
    for name, shard in shards:
        write_shard(out / name, shard, produce)
    names = [name for name, _ in shards]
    index = index_of(shards)
    if index is not None:
        name, text = index
        (out / name).write_text(text, encoding="utf-8")
        names.append(name)
    return names


def parse_size(text: str, where: str) -> int:
    """Bytes of "5GB", "800MB", "2GiB" or a plain number; raises `BadInput`."""
    from engine.errors import bad

    units = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
    units |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
    stripped = text.strip().upper().replace(" ", "")
    number = stripped.rstrip("KMGTIB")
    unit = stripped[len(number) :]
    try:
        value = float(number) * units[unit]
    except (ValueError, KeyError):
        raise bad(where, f"{text!r} is not a size", "Write it as 5GB, 800MB or 2GiB.") from None
    if not 1 <= value < 2**62:
        raise bad(where, f"{text!r} is not a usable size", "Write it as 5GB, 800MB or 2GiB.")
    return int(value)
