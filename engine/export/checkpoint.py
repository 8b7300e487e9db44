"""Writes a mixture as an ordinary checkpoint: the weights that were scored, in the base's dtype.

    tensors   combined in float32 from θ0, rounded once, streamed to shards; integers copied as
    they are the rest  config, generation_config, tokenizer files: copied byte for byte from where
        they lie
    beside    README.md, paretoscope.json, and mergekit_config.yml where mergekit can say the same

config.json changes in one case only: when the number of vocabulary rows or the dtype does.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from engine.errors import ParetoscopeError
from engine.export.directory import new_directory
from engine.export.shards import Planned, write_model
from engine.family.compatibility import Family
from engine.merging.basis import Basis
from engine.merging.merged_model import merged_tensor

SHARD = 5 * 10**9
CONFIG_FILES = ("config.json",)
TEXT_FILES = (
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "chat_template.jinja",
    "chat_template.json",
)

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
    base = family.base.path
    if family.base.kind == "raw":
        return names
    text = family.spec.path_of(family.spec.tokenizer)
    for source, wanted in ((base, CONFIG_FILES), (text, TEXT_FILES)):
        for name in wanted:
            if (source / name).is_file():
                shutil.copyfile(source / name, out / name)
                names.append(name)
    templates = text / "additional_chat_templates"
    if templates.is_dir():
        shutil.copytree(templates, out / templates.name)
        names += [f"{templates.name}/{each.name}" for each in sorted(templates.iterdir())]
    own = base / "generation_config.json"
    if own.is_file() and own.name not in names:
        shutil.copyfile(own, out / own.name)
        names.append(own.name)
    _mend_config(family, out / "config.json", dtype)
    return names


def _mend_config(family: Family, file: Path, dtype: torch.dtype | None) -> None:
    config = json.loads(file.read_text(encoding="utf-8"))
    changed = False
    holders = [config, *([config["text_config"]] if "text_config" in config else [])]
    for holder in holders:
        if family.merged_rows != family.base.rows and "vocab_size" in holder:
            holder["vocab_size"] = family.merged_rows
            changed = True
        for key in ("dtype", "torch_dtype"):
            if dtype is not None and key in holder:
                wanted = str(dtype).removeprefix("torch.")
                changed |= holder[key] != wanted
                holder[key] = wanted
    if changed:
        file.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def plan_tensors(basis: Basis, dtype: torch.dtype | None) -> list[Planned]:
    """What a merged checkpoint holds, in the base's order of names."""
    tensors, base = basis.tensors, basis.tensors.family.base
    merged = [
        Planned(name, dtype or tensors.dtype(name), tuple(tensors.shape(name)))
        for name in tensors.names
    ]
    kept = {name: tensors.untouched(name) for name in base.tensors if name not in tensors.names}
    tied = set(tensors.family.tied)
    others = [
        Planned(name, each.dtype, tuple(each.shape))
        for name, each in kept.items()
        if name not in tied
    ]
    return sorted([*merged, *others], key=lambda each: each.name)


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

    def produce(name: str) -> Tensor:
        if name in merged:
            return merged_tensor(basis, name, coefficients(name), dtype)
        return basis.tensors.untouched(name)

    return write_model(out, plan_tensors(basis, dtype), produce, shard)


def merge_to(
    out: Path,
    basis: Basis,
    coefficients: Coefficients,
    *,
    dtype: torch.dtype | None = None,
    shard: int = SHARD,
    extra: Callable[[Path], list[str]] | None = None,
) -> list[str]:
    """Write a merged model to a directory that appears whole or not at all; returns the file names.

    Args:
        extra: writes more files into the directory and returns their names.

    Raises:
        BadInput: `out` is not empty or has no room, or a merged weight is not finite.
        ParetoscopeError: the disk filled up.
    """
    needed = sum(each.bytes for each in plan_tensors(basis, dtype))
    with new_directory(out, needed) as partial:
        names = write_weights(partial, basis, coefficients, dtype=dtype, shard=shard)
        names += copy_side_files(basis.tensors.family, partial, dtype)
        if extra is not None:
            names += extra(partial)
    return sorted(names)


def copy_model(source: Path, out: Path, extra: Callable[[Path], list[str]]) -> list[str]:
    """Copy one model as it is: its weights, configuration and tokenizer."""
    files = [
        each
        for each in sorted(source.iterdir())
        if each.is_file()
        and (
            each.name in (*CONFIG_FILES, *TEXT_FILES)
            or each.name.endswith((".safetensors", ".safetensors.index.json"))
            or each.name == "adapter_config.json"
        )
    ]
    with new_directory(out, sum(each.stat().st_size for each in files)) as partial:
        for each in files:
            shutil.copyfile(each, partial / each.name)
        names = [each.name for each in files] + extra(partial)
    return sorted(names)


def verify_weights(out: Path, basis: Basis, coefficients: Coefficients) -> None:
    """Read every written tensor back and compare it with a fresh merge.

    Raises:
        ParetoscopeError: a tensor differs, by name.
    """
    wanted = {each.name: each for each in plan_tensors(basis, None)}
    for file in sorted(out.glob("*.safetensors")):
        with safe_open(str(file), framework="pt") as reader:
            for name in reader.keys():  # noqa: SIM118 - a safetensors handle, not a dictionary
                if name not in basis.tensors.names:
                    fresh = basis.tensors.untouched(name)
                else:
                    fresh = merged_tensor(basis, name, coefficients(name)).cpu()
                if not torch.equal(reader.get_tensor(name), fresh):
                    raise ParetoscopeError(f"{file}: tensor {name} is not what was merged")
                wanted.pop(name)
    if wanted:
        raise ParetoscopeError(f"{out}: tensor {next(iter(wanted))} was not written")
