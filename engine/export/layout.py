"""Which files an export has and what each contains: from headers and names alone, no torch.

Both the writers (shards.py, checkpoint.py) and the preview (plan.py) read it here, so that the
sizes shown beforehand are those written.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import BadInput, Problem
from engine.family.compatibility import Family
from engine.family.headers import DTYPE_BITS, FLOAT_DTYPES
from engine.family.own_code import code_files, table_files
from engine.family.own_files import leaving
from engine.family.shards import weight_files

SHARD = 5 * 10**9
"""Bytes of tensors in one safetensors file."""

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
PROCESSOR_FILES = (
    "preprocessor_config.json",
    "processor_config.json",
    "image_processor_config.json",
    "video_preprocessor_config.json",
    "feature_extractor_config.json",
    "audio_tokenizer_config.json",
)
"""What makes inputs for the other parts of a multimodal checkpoint; they stay with its weights."""

TEMPLATES = "additional_chat_templates"

_CODES = {name: code for code, name in FLOAT_DTYPES.items()}


@dataclass(frozen=True)
class Planned:
    """A tensor to come: its name, dtype (as safetensors calls it) and shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def width(self) -> int:
        """Bytes of an element."""
        return DTYPE_BITS[self.dtype] // 8

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.width


def plan_tensors(family: Family, dtype: str | None = None) -> list[Planned]:
    """What a merged checkpoint holds, in the base's order of names.

    Args:
        dtype: of every merged tensor, as torch calls it ("bfloat16"); the base checkpoint's own,
            tensor by tensor, where None.
    """
    merged, base = frozenset(family.tensors), family.base.tensors
    planned = []
    for name, info in base.items():
        if name in merged:
            plan = family.vocabulary_tensors.get(name)
            shape = info.shape if plan is None else (plan.merged, *info.shape[1:])
            planned.append(Planned(name, info.dtype if dtype is None else _CODES[dtype], shape))
        elif name not in family.tied:
            planned.append(Planned(name, info.dtype, info.shape))
    return sorted(planned, key=lambda each: each.name)


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


def in_order(tensors: Sequence[Planned]) -> list[Planned]:
    """The tensors of one file as they lie in it: wide types first, so that every tensor starts at a
    multiple of its own item size."""
    return sorted(tensors, key=lambda each: (-each.width, each.name))


def shard_header(tensors: Sequence[Planned]) -> bytes:
    """The bytes of a safetensors file before its tensors, which follow as `in_order` has them."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for each in in_order(tensors):
        header[each.name] = {
            "dtype": each.dtype,
            "shape": list(each.shape),
            "data_offsets": [end, end + each.bytes],
        }
        end += each.bytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def index_of(shards: Sequence[tuple[str, Sequence[Planned]]]) -> tuple[str, str] | None:
    """(name, text) of the index of several shards; None for one shard."""
    if len(shards) == 1:
        return None
    index = {
        "metadata": {"total_size": sum(each.bytes for _, shard in shards for each in shard)},
        "weight_map": {each.name: name for name, shard in shards for each in shard},
    }
    text = json.dumps(index, indent=2, sort_keys=True) + "\n"
    return "model.safetensors.index.json", text


def side_files(family: Family) -> list[tuple[str, Path]]:
    """(name, source) of the configuration and tokenizer files beside a family's weights.

    Raises:
        BadInput: one of them is a link that leaves its model's directory.
    """
    found = _side_files(family)
    text = family.spec.path_of(family.spec.tokenizer)
    problems: list[Problem] = []
    for path in dict.fromkeys((family.base.path, text)):
        problems += leaving(path, (each for _, each in found if each.is_relative_to(path)))
    if problems:
        raise BadInput(*problems)
    return found


def _side_files(family: Family) -> list[tuple[str, Path]]:
    base = family.base.path
    if family.base.kind == "raw":
        return []
    text = family.spec.path_of(family.spec.tokenizer)
    found = [
        (name, source / name)
        for source, wanted in ((base, (*CONFIG_FILES, *PROCESSOR_FILES)), (text, TEXT_FILES))
        for name in wanted
        if (source / name).is_file()
    ]
    found += [(f"{TEMPLATES}/{each.name}", each) for each in _templates(text)]
    for each in (*table_files(text), *code_files(text), *code_files(base)):
        if each.name not in dict(found):
            found.append((each.name, each))
    own = base / "generation_config.json"
    whole = (text / "config.json").is_file()  # it then says by itself where its texts end
    if own.is_file() and own.name not in dict(found) and not whole:
        found.append((own.name, own))
    return found


def _templates(path: Path) -> list[Path]:
    """Chat templates beside the default one."""
    inside = path / TEMPLATES
    return [each for each in sorted(inside.iterdir()) if each.is_file()] if inside.is_dir() else []


def mended_config(family: Family, text: str, dtype: str | None = None) -> str:
    """config.json as it is written: changed only where the vocabulary's rows or the dtype are,
    where the tokenizer is an expert's that ends its texts otherwise, and where it ties an output
    projection that the weights do not.

    Args:
        dtype: of the written weights where it is not the base's, as torch calls it.
    """
    config: dict[str, Any] = json.loads(text)
    changed = False
    holders = [config, *([config["text_config"]] if "text_config" in config else [])]
    for key, value in _own_tokens(family).items():
        named = [each for each in holders if key in each] or [config]
        changed |= any(each.get(key) != value for each in named)
        for holder in named:
            holder[key] = value
    for holder in holders:
        if family.merged_rows != family.base.rows and "vocab_size" in holder:
            holder["vocab_size"] = family.merged_rows
            if "vocab_size_per_layer_input" in holder and _second_grows(family):
                holder["vocab_size_per_layer_input"] = family.merged_rows
            changed = True
        if family.base.ties.own and holder.get("tie_word_embeddings") is not False:
            holder["tie_word_embeddings"] = False
            changed = True
        for key in ("dtype", "torch_dtype"):
            if dtype is not None and key in holder:
                changed |= holder[key] != dtype
                holder[key] = dtype
    return json.dumps(config, indent=2, ensure_ascii=False) + "\n" if changed else text


def _second_grows(family: Family) -> bool:
    """Whether a second embedding, which Gemma has for every layer, gets rows with the first."""
    plans = family.vocabulary_tensors.items()
    return any("per_layer" in name and each.merged == family.merged_rows for name, each in plans)


def _own_tokens(family: Family) -> dict[str, Any]:
    """The ids of special tokens that the tokenizer's model has, where that is not the base."""
    model = family.checkpoint(family.spec.tokenizer)
    if model.kind != "full" or family.spec.tokenizer == "base":
        return {}
    keys = ("bos_token_id", "eos_token_id", "pad_token_id")
    return {key: found for key in keys if (found := model.setting(key)) is not None}


def model_files(source: Path) -> list[Path]:
    """What a copy of a model takes along: the weights that transformers reads and no other,
    configuration, tokenizer and code that these name, sorted.

    Raises:
        BadInput: one of them is a link that leaves the directory.
    """
    adapter = ("adapter_config.json", "adapter_model.safetensors")
    names = (*CONFIG_FILES, *TEXT_FILES, *PROCESSOR_FILES, *adapter)
    found = {source / name for name in names if (source / name).is_file()}
    found.update(weight_files(source), table_files(source), code_files(source))
    found.update(_templates(source))
    problems = leaving(source, sorted(found))
    if problems:
        raise BadInput(*problems)
    return sorted(found)
