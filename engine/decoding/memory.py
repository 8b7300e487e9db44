"""How many rows fit in a batch, given the size of the modules' caches and how they are fed."""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch

from engine.decoding.fed import feeding_of, unwrapped
from engine.decoding.feeding import PLAIN
from engine.decoding.inputs import Bucket, Fused
from engine.decoding.stage import Stage
from engine.decoding.state import tensors_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CACHE_BYTES = 4 << 30
"""Keys and values of one batch at most; fixed: a batch depends on models and prompts only."""


UNCHUNKED_TOKENS = 4096
"""Rows × columns at most of a batch whose prompts are read in one call."""


def within_memory(bucket: Bucket, *models: Fused) -> Bucket:
    """The bucket as the models' classes can be fed, with as many tokens a batch as their memories
    may hold together.

    Raises:
        BadInput: a class that cannot be fed exactly.
    """
    modules = [module for model in models for module in model.modules]
    feeding = functools.reduce(operator.and_, map(feeding_of, modules))
    if feeding.rows != "mixed":
        rows = bucket.rows if feeding.rows == "equal" else 1
        bucket = replace(bucket, rows=rows, multiple=1, equal=True)
    if feeding.horizon is not None:
        bucket = replace(bucket, horizon=feeding.horizon)
    if bucket.tokens is not None:
        return bucket
    sizes = [memory_bytes(module) for module in modules]
    tokens = max(1, CACHE_BYTES // max(1, sum(each.token for each in sizes)))
    fixed = sum(each.row for each in sizes)
    rows = max(1, min(bucket.rows, CACHE_BYTES // max(1, fixed)))
    if not feeding.chunks or any(feeding_of(each).memory == "none" for each in modules):
        tokens = min(tokens, UNCHUNKED_TOKENS)
    return replace(bucket, rows=rows, tokens=tokens)


@dataclass(frozen=True)
class MemoryBytes:
    """Size of a module's cache for a row: fixed bytes, and bytes per token."""

    row: int
    token: int


def memory_bytes(module: PreTrainedModel) -> MemoryBytes:
    """From the configuration for plain attention; measured for any other cache."""
    inner = unwrapped(module)
    if inner not in _FOUND:
        size = cache_bytes(module) if replace(feeding_of(module), horizon=None) == PLAIN else None
        _FOUND[inner] = _measured(module) if size is None else MemoryBytes(0, size)
    return _FOUND[inner]


def cache_bytes(module: PreTrainedModel) -> int | None:
    """Bytes of keys and values per token of plain attention; None if layers differ."""
    config = module.config.get_text_config()
    try:
        heads = config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // heads
        groups = getattr(config, "num_key_value_heads", None) or heads
        return int(2 * config.num_hidden_layers * groups * size * module.dtype.itemsize)
    except (AttributeError, TypeError, RuntimeError):  # the last: "ambiguous, ask a layer for it"
        return None


_SHORT, _LONG = 1, 9
_FOUND: WeakKeyDictionary[PreTrainedModel, MemoryBytes] = WeakKeyDictionary()


@torch.inference_mode()
def _measured(module: PreTrainedModel) -> MemoryBytes:
    """By letting it read a text of 1 token and one of 9; the same whatever its weights are."""
    short, long = (_bytes(module, columns) for columns in (_SHORT, _LONG))
    token = max(0, long - short) // (_LONG - _SHORT)
    return MemoryBytes(max(0, short - _SHORT * token), token)


def _bytes(module: PreTrainedModel, columns: int) -> int:
    stage = Stage(module, widen=False)
    ids = torch.zeros(1, columns, dtype=torch.int64, device=module.device)
    stage.run(ids, None, torch.arange(columns, device=module.device)[None], 1)
    return sum(each.numel() * each.element_size() for each in tensors_of(stage.state))
