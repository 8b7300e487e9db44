"""Writes safetensors tensor by tensor, so that a merge never holds more than one of them.

The layout is planned from shapes alone: header first, then the bytes in the same order. The
library's own writer wants every tensor of a file in memory at once, which an 8 GB limit on a 16 GB
model forbids.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

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


@dataclass(frozen=True)
class Planned:
    """A tensor to come: its name, dtype and shape."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        return torch.Size(self.shape).numel() * self.dtype.itemsize


def plan_shards(tensors: Sequence[Planned], limit: int) -> list[tuple[str, list[Planned]]]:
    """(file name, tensors) of every shard, none above `limit` bytes but for a single larger tensor.

    One shard is called model.safetensors, several model-00001-of-0000N.safetensors.
    """
    shards: list[list[Planned]] = [[]]
    size = 0
    for each in tensors:
        if shards[-1] and size + each.bytes > limit:
            shards.append([])
            size = 0
        shards[-1].append(each)
        size += each.bytes
    if len(shards) == 1:
        return [("model.safetensors", shards[0])]
    total = len(shards)
    return [
        (f"model-{index:05d}-of-{total:05d}.safetensors", shard)
        for index, shard in enumerate(shards, 1)
    ]


def write_shard(file: Path, tensors: Sequence[Planned], produce: Callable[[str], Tensor]) -> None:
    """Write one safetensors file.

    Args:
        produce: name -> the tensor, of the planned dtype and shape, on any device.
    """
    # wide types first: every tensor then starts at a multiple of its own item size
    ordered = sorted(tensors, key=lambda each: (-each.dtype.itemsize, each.name))
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for each in ordered:
        header[each.name] = {
            "dtype": NAMES[each.dtype],
            "shape": list(each.shape),
            "data_offsets": [end, end + each.bytes],
        }
        end += each.bytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with file.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little"))
        stream.write(text)
        for each in ordered:
            tensor = produce(each.name)
            if tensor.dtype != each.dtype or tuple(tensor.shape) != each.shape:
                got = f"{tensor.dtype} {tuple(tensor.shape)}"
                raise ValueError(f"{each.name}: planned {each.dtype} {each.shape}, got {got}")
            raw = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            stream.write(raw.numpy().tobytes() if raw.numel() < 1 << 20 else raw.numpy().data)


def write_model(
    out: Path, tensors: Sequence[Planned], produce: Callable[[str], Tensor], limit: int
) -> list[str]:
    """Write all shards and, for several, their index; returns the file names."""
    shards = plan_shards(tensors, limit)
    for name, shard in shards:
        write_shard(out / name, shard, produce)
    names = [name for name, _ in shards]
    if len(shards) > 1:
        index = {
            "metadata": {"total_size": sum(each.bytes for each in tensors)},
            "weight_map": {each.name: name for name, shard in shards for each in shard},
        }
        file = out / "model.safetensors.index.json"
        file.write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        names.append(file.name)
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
