"""Streamed safetensors files are those of the library: same tensors, sharded and aligned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from engine.errors import BadInput
from engine.export.layout import Planned, plan_shards
from engine.export.shards import NAMES, parse_size, write_model, write_shard
from engine.family.headers import read_header


def tensors() -> dict[str, torch.Tensor]:
    """One of every dtype, a scalar, an empty one, and one above the size that is copied."""
    generator = torch.Generator().manual_seed(0)
    found = {
        f"of.{name}": torch.randint(0, 2, (3, 5), generator=generator).to(dtype)
        for dtype, name in NAMES.items()
    }
    found["scalar"] = torch.tensor(2.5)
    found["a.scalar.half"] = torch.tensor(-1.5, dtype=torch.bfloat16)
    found["empty"] = torch.empty(0, 4)
    found["odd.bytes"] = torch.arange(7, dtype=torch.uint8)
    found["large"] = torch.randn(1030, 257, generator=generator)
    found["transposed"] = torch.randn(4, 6, generator=generator).t()
    return found


def planned(found: dict[str, torch.Tensor]) -> list[Planned]:
    return [
        Planned(name, NAMES[each.dtype], tuple(each.shape)) for name, each in sorted(found.items())
    ]


def same(first: torch.Tensor, second: torch.Tensor) -> bool:
    return (
        first.dtype == second.dtype and first.shape == second.shape and torch.equal(first, second)
    )


def test_a_file_is_what_the_library_reads(tmp_path: Path) -> None:
    found = tensors()
    file = tmp_path / "model.safetensors"
    write_shard(file, planned(found), found.__getitem__)
    read = load_file(file)
    assert set(read) == set(found)
    for name, each in found.items():
        assert same(read[name], each), name
    assert read["scalar"].shape == ()


def test_a_tensor_in_parts_is_the_tensor(tmp_path: Path) -> None:
    found = tensors()
    file = tmp_path / "model.safetensors"
    write_shard(file, planned(found), lambda name: iter(found[name].reshape(-1).split(5)))
    read = load_file(file)
    assert all(same(read[name], each.contiguous()) for name, each in found.items())
    for parts in ([torch.zeros(4)], [torch.zeros(3), torch.zeros(3)], [torch.zeros(5).half()]):
        with pytest.raises(ValueError, match="w: planned"):
            write_shard(file, [Planned("w", "F32", (5,))], lambda _, parts=parts: iter(parts))


def test_every_tensor_starts_at_a_multiple_of_its_items(tmp_path: Path) -> None:
    found = tensors()
    file = tmp_path / "model.safetensors"
    write_shard(file, planned(found), found.__getitem__)
    for name, info in read_header(file).items():  # reads what a hostile file would not pass
        assert info.start % found[name].element_size() == 0, name
    assert int.from_bytes(file.read_bytes()[:8], "little") % 8 == 0


@pytest.mark.parametrize("limit", [1, 100, 5000, 10**9])
def test_shards_and_their_index(tmp_path: Path, limit: int) -> None:
    found = tensors()
    names = write_model(tmp_path, planned(found), found.__getitem__, limit)
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted(names)
    files = [name for name in names if name.endswith(".safetensors")]
    read: dict[str, torch.Tensor] = {}
    for name in files:
        part = load_file(tmp_path / name)
        size = sum(each.numel() * each.element_size() for each in part.values())
        assert size <= limit or len([e for e in part.values() if e.numel()]) == 1
        read |= part
    assert set(read) == set(found) and all(same(read[name], found[name]) for name in found)
    if limit == 10**9:
        assert names == ["model.safetensors"]
        return
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"]) == set(found)
    assert set(index["weight_map"].values()) == set(files)
    total = sum(each.numel() * each.element_size() for each in found.values())
    assert index["metadata"]["total_size"] == total
    assert files[0] == f"model-00001-of-{len(files):05d}.safetensors"


def test_shards_keep_the_order() -> None:
    plan = [Planned(name, "F32", (10,)) for name in "abcde"]
    shards = plan_shards(plan, 80)
    assert [[each.name for each in shard] for _, shard in shards] == [["a", "b"], ["c", "d"], ["e"]]
    assert plan_shards([], 80) == [("model.safetensors", [])]


@pytest.mark.parametrize("wrong", [torch.zeros(3), torch.zeros(2, dtype=torch.float16)])
def test_a_tensor_that_was_not_planned(tmp_path: Path, wrong: torch.Tensor) -> None:
    plan = [Planned("x", "F32", (2,))]
    with pytest.raises(ValueError, match="x: planned"):
        write_shard(tmp_path / "f", plan, lambda _: wrong)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("5GB", 5 * 10**9), ("800MB", 8 * 10**8), ("2GiB", 2 << 30), ("1.5 kib", 1536), ("7", 7),
        ("10B", 10), ("1TB", 10**12), (" 3 mb ", 3 * 10**6),
    ],
)  # fmt: skip
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text, "--shard-size") == size


@pytest.mark.parametrize(
    "text", ["", "GB", "5XB", "five", "-1GB", "0", "nan", "inf", "1e30", "5GBB", "5G", "0.1"]
)
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(BadInput, match=r"--shard-size: .*Write it as 5GB"):
        parse_size(text, "--shard-size")
