"""Writes a mixture as an ordinary checkpoint: the weights that were scored, in the base's dtype.

    tensors   combined in float32 from θ0, rounded once, streamed to shards; integers copied
    others    config, generation_config, tokenizer files: copied byte for byte
    beside    README.md, paretoscope.json, and mergekit_config.yml if mergekit can express it

config.json changes only if the number of vocabulary rows or the dtype does.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from engine.export.directory import new_directory
from engine.export.layout import (
    SHARD,
    Planned,
    mended_config,
    model_files,
    plan_tensors,
    side_files,
)
from engine.export.shards import Made, write_model
from engine.family.compatibility import Family
from engine.merging.basis import Basis, nothing
from engine.merging.merged_model import merged_parts

_COPIED = 1 << 26
"""Bytes between two looks at whether to go on with a copy."""

Coefficients = Callable[[str], Mapping[str, float]]
"""Tensor name -> coefficients; a recipe's are the same for every tensor, a mergekit file's are
not.
"""


def copy_side_files(family: Family, out: Path, dtype: torch.dtype | None = None) -> list[str]:
    """Copy configuration and tokenizer byte for byte; returns the names.

    Args:
        dtype: of the written weights where it is not the base's.
    """
    names: list[str] = []
    for name, source in side_files(family):
        (out / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(source, out / name)
        names.append(name)
    config = out / "config.json"
    if config.is_file():
        text = config.read_text(encoding="utf-8")
        mended = mended_config(family, text, None if dtype is None else _called(dtype))
        if mended != text:
            config.write_text(mended, encoding="utf-8")
    return names


def _called(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def planned(basis: Basis, dtype: torch.dtype | None) -> list[Planned]:
    """What a merged checkpoint holds."""
    return plan_tensors(basis.tensors.family, None if dtype is None else _called(dtype))


def write_weights(
    out: Path,
    basis: Basis,
    coefficients: Coefficients,
    *,
    dtype: torch.dtype | None = None,
    shard: int = SHARD,
) -> list[str]:
    """Stream θ(c) into safetensors files; returns their names.

    Args:
        dtype: of every merged tensor; the base checkpoint's own, tensor by tensor, where None.
        shard: bytes of a file.
    """
    merged = set(basis.tensors.names)

    def produce(name: str) -> Made:
        if name in merged:
            return merged_parts(basis, name, coefficients(name), dtype)
        return basis.tensors.untouched(name)

    return write_model(out, planned(basis, dtype), produce, shard)


def merge_to(
    out: Path,
    basis: Basis,
    coefficients: Coefficients,
    *,
    dtype: torch.dtype | None = None,
    shard: int = SHARD,
    finish: Callable[[Path], list[str]] | None = None,
) -> list[str]:
    """Write a merged model to a directory that appears whole or not at all; returns the file names.

    Args:
        finish: checks what was written, writes more files into the directory and returns their
            names; what it raises leaves nothing behind.

    Raises:
        BadInput: `out` is not empty or has no room, or a merged weight is not finite.
        ParetoscopeError: the disk filled up.
    """
    side_files(basis.tensors.family)  # what cannot be copied is reported before anything is merged
    needed = sum(each.bytes for each in planned(basis, dtype))
    with new_directory(out, needed) as partial:
        names = write_weights(partial, basis, coefficients, dtype=dtype, shard=shard)
        names += copy_side_files(basis.tensors.family, partial, dtype)
        if finish is not None:
            names += finish(partial)
    return sorted(names)


def copy_model(
    source: Path,
    out: Path,
    finish: Callable[[Path], list[str]],
    tick: Callable[[], None] = nothing,
) -> list[str]:
    """Copy one model as it is: its weights, configuration and tokenizer.

    Args:
        finish: as of `merge_to`.
        tick: called between chunks.
    """
    files = {str(each.relative_to(source)): each for each in model_files(source)}
    with new_directory(out, sum(each.stat().st_size for each in files.values())) as partial:
        for name, each in files.items():
            (partial / name).parent.mkdir(exist_ok=True)
            with each.open("rb") as reader, (partial / name).open("wb") as writer:
                while chunk := reader.read(_COPIED):
                    tick()
                    writer.write(chunk)
        names = [*files, *finish(partial)]
    return sorted(names)
