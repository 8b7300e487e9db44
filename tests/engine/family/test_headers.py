from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from engine.errors import BadInput
from engine.family.headers import MAX_HEADER, read_header


def write(path: Path, header: Any, data: bytes = b"", length: int | None = None) -> Path:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw) if length is None else length) + raw + data)
    return path


def entry(shape: list[int], start: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def test_reads_what_safetensors_writes(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    tensors = {
        "b": torch.arange(6, dtype=torch.float32).reshape(2, 3),
        "a": torch.ones(4, dtype=torch.bfloat16),
        "scalar": torch.tensor(3, dtype=torch.int64),
        "empty": torch.zeros(0, 7),
    }
    save_file(tensors, file, metadata={"format": "pt"})
    found = read_header(file)
    assert set(found) == set(tensors)
    assert found["b"].shape == (2, 3) and found["b"].dtype == "F32" and found["b"].count == 6
    assert found["a"].bytes == 8 and found["a"].is_float and not found["scalar"].is_float
    assert found["empty"].bytes == 0 and found["scalar"].shape == ()
    where = found["b"]
    assert file.read_bytes()[where.start : where.end] == tensors["b"].numpy().tobytes()


HOSTILE = {
    "too short": (b"", "fewer than the 8"),
    "length 2^63": ((b"{}", b"", 1 << 63), str(1 << 63)),
    "length beyond the file": ((b"{}", b"", 3), "claims 3 bytes but the file has 10"),
    "not UTF-8": ((b"\xff\xfe{}",), "not JSON"),
    "not JSON": ((b"{'a': 1}",), "not JSON"),
    "nested too deep": ((b"[" * 200_000,), "nested too deep"),
    "number too long": ((b'{"a": ' + b"9" * 5000 + b"}",), "exceeds the range of a float"),
    "not an object": (([1, 2],), "JSON list"),
    "key twice": ((b'{"a": {}, "a": {}}',), "'a' twice"),
    "metadata no texts": (({"__metadata__": {"a": 1}},), "__metadata__"),
    "entry no object": (({"a": 7},), "'a' must have exactly"),
    "field twice": ((b'{"a": {"dtype": "F32", "dtype": "F16"}}',), "'dtype' twice"),
    "unknown dtype": (({"a": entry([1], 0, 4, "F31")}, b"1234"), "'F31'"),
    "negative shape": (({"a": entry([-1], 0, 4)}, b"1234"), "invalid shape"),
    "boolean shape": (({"a": entry([True], 0, 4)}, b"1234"), "invalid shape"),  # type: ignore[list-item]
    "negative offset": (({"a": entry([1], -4, 0)}, b"1234"), "invalid data_offsets"),
    "backward offsets": (({"a": entry([1], 4, 0)}, b"1234"), "claims bytes 4 to 0"),
    "out of file": (({"a": entry([2], 0, 8)}, b"1234"), "claims bytes 0 to 8 of 4"),
    "shape against bytes": (({"a": entry([2], 0, 4)}, b"1234"), "is 8 bytes but claims 4"),
    "overlap": (({"a": entry([1], 0, 4), "b": entry([1], 2, 6)}, b"123456"), "'b' overlaps"),
    "same bytes": (({"a": entry([1], 0, 4), "b": entry([1], 0, 4)}, b"1234"), "'b' overlaps"),
    "hole": (({"a": entry([1], 0, 4), "b": entry([1], 6, 10)}, b"0123456789"), "leaves a gap"),
    "hole at the start": (({"a": entry([1], 2, 6)}, b"123456"), "leaves a gap"),
    "bytes at the end": (({"a": entry([1], 0, 4)}, b"12345"), "1 bytes at its end"),
    "name no text": ((b'{"\\ud800": {}}',), "is not valid text"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_refuses_hostile_headers(case: str, tmp_path: Path) -> None:
    content, expected = HOSTILE[case]
    file = tmp_path / "model.safetensors"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        write(file, *content)  # type: ignore[arg-type]
    with pytest.raises(BadInput) as caught:
        read_header(file)
    assert expected in str(caught.value)
    assert str(file) in str(caught.value)


def test_refuses_a_header_over_the_limit_without_reading_it(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    with file.open("wb") as out:
        out.write(struct.pack("<Q", MAX_HEADER + 1))
        out.truncate(MAX_HEADER + 100)  # sparse: it takes no room
    with pytest.raises(BadInput, match="the limit is"):
        read_header(file)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        read_header(tmp_path / "model.safetensors")
