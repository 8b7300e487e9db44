"""The header of a safetensors file, read as untrusted input.

    8 bytes          n bytes                      the rest
    n (u64, little)  JSON: name -> dtype, shape,  tensor data, every byte of it claimed exactly once
                     data_offsets

Only the header is read; the tensors are described by where their bytes lie in the file. Every claim
is checked against the size of the file, so that whoever reads the bytes afterwards needs no checks
of their own. The format: https://huggingface.co/docs/safetensors (header at most 100 MB, no holes,
no overlaps).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import BadInput, Problem, bad
from engine.json_reading import Unsound, parse_json
from engine.plain_file import irregular

MAX_HEADER = 100_000_000

# bits of one element; four and six bit types are packed
DTYPE_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "I16": 16, "U16": 16, "F16": 16,
    "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64, "C64": 64,
}  # fmt: skip
FLOAT_DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}

_FIX = "Copy or download the file again; if you do not trust its source, do not use it."


@dataclass(frozen=True)
class TensorInfo:
    """Where one tensor lies.

    Attributes:
        dtype: as the header spells it ("BF16", "F32", "I64" …).
        shape: sizes of the dimensions; () is a scalar.
        start, end: its bytes are file[start:end], counted from the start of the file.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int
    file: Path

    @property
    def bytes(self) -> int:
        return self.end - self.start

    @property
    def count(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def is_float(self) -> bool:
        """Whether its elements are numbers that can be merged: 16, 32 or 64 bit floats."""
        return self.dtype in FLOAT_DTYPES


def not_finite(file: Path, name: str) -> Problem:
    """What is wrong with a tensor that holds numbers that are not finite."""
    fix = "Training diverged or the file is damaged; use another checkpoint."
    return Problem(f"{file}: tensor {name}", "holds NaN or infinity", fix)


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63


def _bytes(bits: int) -> str:
    whole, part = divmod(bits, 8)
    return str(whole)[:40] + (f".{part * 125:03d}".rstrip("0") if part else "")


def _refuse(path: Path, what: str, fix: str = _FIX) -> BadInput:
    return bad(str(path), f"not a valid safetensors file: {what}", fix)


def _tensor(path: Path, name: str, entry: Any, data_start: int, size: int) -> TensorInfo:
    """One entry of the header, checked on its own; raises `BadInput`."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise _refuse(path, f"the tensor name {name!a} is not valid text") from None
    if not isinstance(entry, Mapping) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _refuse(path, f"tensor {name!r} must have exactly dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPE_BITS:
        raise _refuse(path, f"tensor {name!r} has the unknown dtype {str(dtype)[:40]!r}")
    if not isinstance(shape, list) or len(shape) > 32 or not all(_is_size(each) for each in shape):
        raise _refuse(path, f"tensor {name!r} has the invalid shape {str(shape)[:80]}")
    if (
        not isinstance(offsets, list)
        or len(offsets) != 2
        or not all(_is_size(each) for each in offsets)
    ):
        raise _refuse(path, f"tensor {name!r} has the invalid data_offsets {str(offsets)[:80]}")
    start, end = offsets
    if start > end or data_start + end > size:
        raise _refuse(
            path,
            f"tensor {name!r} claims bytes {start} to {end} of {size - data_start} bytes of data",
            "The file is probably truncated. " + _FIX,
        )
    bits = math.prod(shape) * DTYPE_BITS[dtype]
    if bits != (end - start) * 8:
        raise _refuse(
            path,
            f"tensor {name!r}, {dtype} {shape}, is {_bytes(bits)} bytes but claims {end - start}",
        )
    return TensorInfo(name, dtype, tuple(shape), data_start + start, data_start + end, path)


def read_header(path: Path) -> dict[str, TensorInfo]:
    """The tensors of one safetensors file by name, in the order of their bytes.

    Raises:
        BadInput: the file is missing, cut short, or its header is hostile: length beyond the file
            or 100 MB, not a JSON object, a key twice, offsets that are negative, overlap, leave
            holes or leave the file, or that disagree with shape and dtype.
    """
    try:
        found = path.stat()
        size, other = found.st_size, irregular(found.st_mode)
        if other is not None:
            raise _refuse(path, f"it is {other}, not a regular file")
        with path.open("rb") as file:
            prefix = file.read(8)
            if len(prefix) < 8:
                raise _refuse(path, f"it has {size} bytes, fewer than the 8 that begin the header")
            length = int.from_bytes(prefix, "little")
            if length > MAX_HEADER:
                raise _refuse(path, f"the header claims {length} bytes; the limit is {MAX_HEADER}")
            if length > size - 8:
                raise _refuse(
                    path,
                    f"the header claims {length} bytes but the file has {size}",
                    "The file is probably truncated. " + _FIX,
                )
            raw = file.read(length)
    except FileNotFoundError:
        raise bad(
            str(path), "no such file", "Check the path, or download the file again."
        ) from None
    except OSError as error:
        raise bad(
            str(path), f"cannot be read ({error.strerror or error})", "Check its permissions."
        ) from None
    if len(raw) < length:
        raise _refuse(path, "it became shorter while it was being read")
    try:
        header = parse_json(raw)
    except Unsound as error:
        raise _refuse(path, f"the header is not valid JSON ({error})") from None
    except ValueError:
        raise _refuse(path, "the header is not JSON") from None
    if not isinstance(header, dict):
        raise _refuse(path, f"the header is a JSON {type(header).__name__}, not an object")
    notes = header.pop("__metadata__", {})
    if not isinstance(notes, dict) or not all(isinstance(each, str) for each in notes.values()):
        raise _refuse(path, "__metadata__ must map names to strings")
    tensors = [_tensor(path, name, entry, 8 + length, size) for name, entry in header.items()]
    tensors.sort(key=lambda each: (each.start, each.end))
    place = 8 + length
    for each in tensors:
        if each.start != place:
            how = (
                "overlaps the tensor before it" if each.start < place else "leaves a gap before it"
            )
            raise _refuse(path, f"tensor {each.name!r} {how}")
        place = each.end
    if place != size:
        raise _refuse(path, f"{size - place} bytes at its end belong to no tensor")
    return {each.name: each for each in tensors}
