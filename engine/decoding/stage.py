"""One module on its way through a batch, with what it remembers of it.

What a module remembers (keys and values, recurrent and convolution states, a list of tensors) is
kept as the module made it. Rows are taken from it generically: every tensor with a row a row of the
batch is indexed along its first dimension, everything else stays; whether that holds for a class is
tried like the rest (`engine.decoding.trial`).
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from engine.decoding.fed import feeding_of, unwrapped
from engine.decoding.growing_cache import GrowingLayer, growing_cache
from engine.decoding.projection import float32_logits

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_OURS = ("transformers.", "engine.decoding.growing_cache")
_MODELS = ("Config", "Model")


class Stage:
    """One module and its memory of a batch.

    Args:
        widen: float32 from the output projection on.

    Attributes:
        feeding: how the module's class is fed.
    """

    def __init__(self, module: PreTrainedModel, widen: bool) -> None:
        self.module = module
        self.widen = widen
        self.feeding = feeding_of(module)
        inner = unwrapped(module)  # PEFT's wrapper takes anything and says nothing
        self.names = frozenset(inspect.signature(inner.forward).parameters)
        self.ready_mask = self.feeding.ready_mask and one_mask_serves(inner)
        self.state: Any = growing_cache(inner.config) if self.feeding.memory == "growing" else None
        self.fed: list[Tensor] = []

    def run(self, ids: Tensor, real: Tensor | None, positions: Tensor, keep: int) -> Tensor:
        """Logits of the last `keep` of the columns `ids`, as the module gives them.

        Args:
            ids: int64 [rows, columns], the columns that are new.
            real: bool [rows, all columns so far, these included]: false where there is padding;
                None where there is none.
            positions: int64 [rows, all columns so far, these included].
        """
        feeding, again = self.feeding, self._reads_again(positions)
        if feeding.memory == "none" or feeding.horizon is not None:
            self.fed = [torch.cat([*self.fed, ids], 1)]
        if again:
            ids = self.fed[0]
            self.state = None
        arguments: dict[str, Any] = {"input_ids": ids, "use_cache": not again}
        if "attention_mask" in self.names:
            ready = self.ready_mask and ids.shape[1] == 1 and not again
            if feeding.masked == "first" and ids.shape[1] < positions.shape[1]:
                real = None
            mask = real[:, None, None, :] if ready and real is not None else real
            arguments["attention_mask"] = mask
        if feeding.positions and "position_ids" in self.names:
            arguments["position_ids"] = positions[:, positions.shape[1] - ids.shape[1] :]
        if "logits_to_keep" in self.names:
            arguments["logits_to_keep"] = keep
        if self.state is not None:
            arguments[feeding.argument] = self.state
        with float32_logits(self.module) if self.widen else nullcontext():
            out = self.module(**arguments)
        if not again and feeding.memory == "own":
            self.state = getattr(out, feeding.argument)
        return cast("Tensor", out.logits[:, -keep:])

    def _reads_again(self, positions: Tensor) -> bool:
        if self.feeding.memory == "none":
            return True
        horizon = self.feeding.horizon
        return horizon is not None and positions.shape[1] > horizon

    def take(self, rows: Tensor, count: int) -> Stage:
        """A stage that goes on from these of `count` rows, repeats allowed; this one stays."""
        other = copy.copy(self)
        other.state = taken(self.state, rows, count)
        other.fed = [each[rows] for each in self.fed]
        return other


def one_mask_serves(module: PreTrainedModel) -> bool:
    """Whether one boolean mask can serve every layer: a ready one spares building one a step."""
    config = module.config.get_text_config()
    return (
        getattr(config, "_attn_implementation", None) == "sdpa"
        and getattr(config, "sliding_window", None) is None
        and set(getattr(config, "layer_types", None) or ("full_attention",)) == {"full_attention"}
        and hasattr(module.base_model, "rotary_emb")
    )


def taken(state: Any, rows: Tensor, count: int) -> Any:
    """A module's memory of these of its `count` rows, in new tensors; the given one stays."""
    return _rebuilt(state, lambda each: each[rows] if _by_row(each, count) else each, {})


def tensors_of(state: Any) -> list[Tensor]:
    """Every tensor that a module remembers, each once, without the spare room behind it."""
    found: dict[int, Tensor] = {}
    for each in _walk(state, set()):
        found.setdefault(id(each), each)
    return list(found.values())


def _by_row(tensor: Tensor, count: int) -> bool:
    return tensor.dim() > 1 and tensor.shape[0] == count


def _inside(value: Any) -> bool:
    """Whether an object is a piece of a memory: a cache or one of its layers."""
    kind = type(value)
    return kind.__module__.startswith(_OURS) and not (
        kind.__name__.endswith(_MODELS) or isinstance(value, torch.nn.Module)
    )


def _rebuilt(value: Any, change: Callable[[Tensor], Tensor], seen: dict[int, Any]) -> Any:
    if id(value) in seen:
        return seen[id(value)]
    made: Any = value
    if isinstance(value, Tensor):
        made = change(value)
    elif isinstance(value, GrowingLayer):
        made = copy.copy(value)
        if value.is_initialized:
            made.rooms = (change(value.rooms[0]), change(value.rooms[1]))
            made.show()
    elif isinstance(value, dict):
        made = copy.copy(value)
        for key, each in value.items():
            made[key] = _rebuilt(each, change, seen)
    elif isinstance(value, list | tuple):
        made = type(value)(_rebuilt(each, change, seen) for each in value)
    elif hasattr(value, "__dict__") and _inside(value):
        made = copy.copy(value)
        seen[id(value)] = made
        for key, each in vars(value).items():
            made.__dict__[key] = _rebuilt(each, change, seen)
    seen[id(value)] = made
    return made


def _walk(value: Any, seen: set[int]) -> Iterator[Tensor]:
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, GrowingLayer):
        yield from (each for each in (value.keys, value.values) if each is not None)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _walk(each, seen)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _walk(each, seen)
    elif hasattr(value, "__dict__") and _inside(value):
        yield from _walk(vars(value), seen)
