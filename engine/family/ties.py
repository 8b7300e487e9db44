"""Tied heads: which stored tensors are one, by class, by configuration, by value.

    class and config.json tie?   no ──► every stored tensor is its own
            │ yes
    stored twice?                no ──► one tensor, under either name
            │ yes
    equal?                       yes ─► one tensor, stored twice: a copy
                                 no ──► two tensors: transformers keeps the file's own head

Source: transformers' `PreTrainedModel.tie_weights` (5.23), which compares what it loaded and ties
only equals. Values are read only where a head is stored beside an embedding that it should be.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, BinaryIO

from engine.family.classes import class_of
from engine.family.headers import TensorInfo

EMBEDDINGS = re.compile(
    r"(?:^|\.)(?:embed_tokens|wte|word_embeddings|embed_in|tok_embeddings)\.weight$"
)
HEADS = re.compile(r"(?:^|\.)(?:lm_head|embed_out|output_projection)\.(?:weight|bias)$")
_CHUNK = 1 << 22


@dataclass(frozen=True)
class Ties:
    """What is tied in one checkpoint.

    Attributes:
        tied: the output projection is the input embedding.
        copies: stored tensor -> the stored tensor that it equals and is tied to.
        own: stored heads that differ from the embedding, though class and config.json tie them.
    """

    tied: bool
    copies: Mapping[str, str]
    own: tuple[str, ...] = ()


def is_head(name: str) -> bool:
    """Whether a name is that of an output projection's weight."""
    return bool(HEADS.search(name)) and name.endswith(".weight")


def pairs_of(config: Mapping[str, Any]) -> Mapping[str, str]:
    """Tensor -> the tensor that it is where the class ties; {} for a class that is not known."""
    found = class_of(str(config.get("model_type")))
    return {} if found is None else found.heads


def embedding_of(config: Mapping[str, Any], tensors: Mapping[str, TensorInfo]) -> str | None:
    """The stored name of the input embedding: the class's own name for it, else a usual one."""
    for pair in pairs_of(config).items():
        for each in reversed(pair):
            name = _stored(each, config, tensors)
            if name is not None and name.endswith(".weight") and not HEADS.search(name):
                return name
            if each.endswith(".weight") and not HEADS.search(each):
                break  # the class's embedding, which is not stored
    for name, info in tensors.items():
        if info.shape and EMBEDDINGS.search(name):
            return name
    return None


def says_tied(config: Mapping[str, Any], tensors: Mapping[str, TensorInfo]) -> bool:
    """Whether the class ties under its configuration; without a class: by key, else by tensors."""
    found = class_of(str(config.get("model_type")))
    if found is not None and found.auto:
        return found.ties(config)
    nested = config.get("text_config")
    for holder in (config, nested if isinstance(nested, Mapping) else {}):
        if isinstance(holder.get("tie_word_embeddings"), bool):
            return bool(holder["tie_word_embeddings"])
    return not any(HEADS.search(name) for name in tensors)


def find_ties(
    config: Mapping[str, Any], tensors: Mapping[str, TensorInfo], said: bool | None = None
) -> Ties:
    """The ties of a checkpoint; reads values where a tensor is stored beside what it is tied to.

    Args:
        said: whether configuration and class tie, where this checkpoint has no config.json to say.

    Raises:
        OSError: a file cannot be read.
    """
    if said is None:
        said = says_tied(config, tensors)
    if not said:
        return Ties(False, {})
    embedding = embedding_of(config, tensors)
    pairs = {
        head: source
        for first, second in pairs_of(config).items()
        if (head := _stored(first, config, tensors)) is not None
        and (source := _stored(second, config, tensors)) is not None
    }
    if embedding is not None:
        pairs |= {name: embedding for name in tensors if is_head(name) and name != embedding}
    copies = {
        head: source
        for head, source in pairs.items()
        if same_values(tensors[head], tensors[source])
    }
    own = tuple(head for head in pairs if head not in copies)
    return Ties(not any(pairs[head] == embedding for head in own), copies, own)


def _stored(name: str, config: Mapping[str, Any], tensors: Mapping[str, TensorInfo]) -> str | None:
    """A class's tensor as the file names it: the prefix of the inner model may be left out."""
    found = class_of(str(config.get("model_type")))
    bare = name if found is None else name.removeprefix(f"{found.prefix}.")
    return next((each for each in (name, bare) if each in tensors), None)


def same_values(first: TensorInfo, second: TensorInfo) -> bool:
    """Whether two stored tensors hold equal numbers in equal shapes, whatever their types."""
    if first.shape != second.shape:
        return False
    place = (first.file, first.start, first.end)
    if place == (second.file, second.start, second.end):
        return True
    stamp = (first.file.stat().st_mtime_ns, second.file.stat().st_mtime_ns)
    return _compared(first, second, stamp)


@lru_cache(maxsize=64)
def _compared(first: TensorInfo, second: TensorInfo, stamp: tuple[int, int]) -> bool:
    step = _CHUNK
    widths = [each.bytes // max(each.count, 1) for each in (first, second)]
    with first.file.open("rb") as one, second.file.open("rb") as other:
        for start in range(0, first.count, step):
            count = min(step, first.count - start)
            mine = _read(one, first.start + start * widths[0], count * widths[0])
            theirs = _read(other, second.start + start * widths[1], count * widths[1])
            if mine == theirs and first.dtype == second.dtype:
                continue
            if not _equal_numbers(mine, first.dtype, theirs, second.dtype):
                return False
    return True


def _read(file: BinaryIO, place: int, size: int) -> bytes:
    file.seek(place)
    return file.read(size)


def _equal_numbers(mine: bytes, one: str, theirs: bytes, other: str) -> bool:
    import numpy as np

    def numbers(data: bytes, dtype: str) -> Any:
        if dtype == "BF16":  # the upper half of a float32
            return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
        return np.frombuffer(data, {"F64": "<f8", "F32": "<f4", "F16": "<f2"}[dtype])

    first, second = numbers(mine, one), numbers(theirs, other)
    return len(first) == len(second) and bool((first == second).all())
