"""Numbers that are none, and so make a model's answers mean nothing: found before it is scored.

    one forward of a few rows, every operation watched
        x ──► x² ──► mean ──► rsqrt ──► · x              a norm whose squares overflow: x² = ∞,
              ∞       ∞        0        0                1 / √∞ = 0, and the layer says nothing

    every logits that are read: not all alike, which overflow, a soft cap or dead weights leave

A residual stream hides a layer that says nothing, and a norm hides an overflow, so logits alone do
not show it. An operation is at fault where it gives +∞ or no number; −∞ is what masks are made of.
No class of docs/models.md has any such operation while its numbers fit their type.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.module_tracker import ModuleTracker

from engine.decoding.inputs import Fused, Tick
from engine.decoding.stage import Stage
from engine.errors import ParetoscopeError

ROWS, COLUMNS = 2, 16
"""Rows of the watched forward and their ids at most."""

SAMPLE = 24
"""Logits of a position that are looked at first, evenly spaced."""

SHARE = 8
"""One in so many ids may share the largest logit; in 16 bits a few do."""

_UNWRITTEN = ("aten::empty", "aten::new_empty")
"""Operations whose numbers nobody wrote yet."""


class Unsound(ParetoscopeError):
    """A model whose numbers overflow, or whose logits say nothing: it has no scores."""


def alike(logits: Tensor, limit: int | None = None) -> Tensor | None:
    """Where the largest logit is shared by so many ids that it says nothing.

    Args:
        logits: float [..., vocabulary].
        limit: ids from here on are masked, and not looked at.

    Returns:
        bool [...], or None where it is so nowhere.
    """
    size = min(logits.shape[-1], limit or logits.shape[-1])
    few = logits[..., : size : max(1, size // SAMPLE)]
    if int(_largest_count(few).max()) <= min(2, size - 1) or size == 1:
        return None
    count = _largest_count(logits[..., :size])
    return (count > max(2, size // SHARE)) | (count == size)


def _largest_count(logits: Tensor) -> Tensor:
    """How many share the largest."""
    return (logits == logits.amax(-1, keepdim=True)).sum(-1)


def refuse_alike(found: Tensor | None, read: Tensor | None = None) -> None:
    """Raises `Unsound` where logits of a batch are alike.

    Args:
        found: as `alike` gives it.
        read: bool, the shape of `found`: which of them matter; None: all.
    """
    if found is None or not bool((found if read is None else found & read).any()):
        return
    raise Unsound(
        "the logits are alike for many ids, so that no answer is the likeliest: the model's"
        " numbers overflow or its weights say nothing"
    )


def check_sound(model: Fused, texts: Sequence[Sequence[int]], tick: Tick) -> None:
    """Run a few texts through every module of a model, each operation watched.

    Args:
        texts: ids, at least one text, none empty.
        tick: called before each forward.

    Raises:
        Unsound: an operation gives infinity or no number: which, in which layer of which model.
    """
    names = (None,) if model.mixture is None else model.mixture.models
    for name, module in zip(names, model.modules, strict=True):
        tick()
        stage = Stage(module, model.mixture is not None)
        chosen = sorted(texts, key=len)[-(1 if stage.feeding.rows == "alone" else ROWS) :]
        columns = min(COLUMNS, *map(len, chosen))
        ids = torch.tensor([list(each[:columns]) for each in chosen], device=module.device)
        largest = _Largest()
        _read(stage, ids, largest)
        if largest.finite:
            continue
        with ModuleTracker() as tracker:
            fault = _Fault(tracker)
            _read(Stage(module, stage.widen), ids, fault)
        if fault.found is not None:
            raise Unsound(f"the numbers of {name or 'the model'} overflow in {fault.found}")


def _read(stage: Stage, ids: Tensor, watch: TorchDispatchMode) -> None:
    """Run a stage over `ids` [rows, columns], watched."""
    positions = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
    with torch.no_grad(), watch:
        stage.run(ids, None, positions, 1)


class _Largest(TorchDispatchMode):
    """Keeps the largest number of every result, to be compared at the end: a device is waited for
    once."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: list[Tensor] = []

    @property
    def finite(self) -> bool:
        """Whether no operation gave +∞ or no number."""
        return not self._seen or bool((torch.stack(self._seen) < torch.inf).all())

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if not func.is_view and not func.name().startswith(_UNWRITTEN):
            self._seen += [each.double() for each in _largest_of(func.name(), args, out)]
        return out


class _Fault(TorchDispatchMode):
    """Finds the operation that makes +∞, or no number, of numbers.

    An exponential may: 1 / (1 + exp(100)) is right, and what is masked later does not matter. Where
    it does matter, there is no number soon.

    Attributes:
        found: the first, in words; None where there is none.
    """

    def __init__(self, tracker: ModuleTracker) -> None:
        super().__init__()
        self._tracker = tracker
        self.found: str | None = None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        into = [each for each in tree_leaves((args, kwargs)) if _counts(each)]
        before = [_largest(each) for each in into] if self.found is None else []
        name = func.name().partition("::")[2].partition(".")[0]
        out = func(*args, **(kwargs or {}))
        if self.found is not None or func.is_view or func.name().startswith(_UNWRITTEN):
            return out
        largest = [float(each) for each in _largest_of(func.name(), args, out)]
        given = all(each < math.inf for each in before)
        made = any(math.isnan(each) for each in largest) or (
            any(each == math.inf for each in largest) and not name.startswith("exp")
        )
        rooted = name in ("rsqrt", "sqrt") and math.inf in before
        if (made and given and into) or rooted:
            place = max(self._tracker.parents - {"Global"}, key=len, default="")
            where = place.partition(".")[2] or place
            size = max((float(_finite(each)) for each in into), default=0.0)
            self.found = f"{where} ({name} of numbers up to {size:.3g})"
        return out


def _counts(value: Any) -> bool:
    return (
        isinstance(value, Tensor)
        and value.dtype in (torch.float32, torch.bfloat16, torch.float16, torch.float64)
        and value.numel() > 0
    )


def _largest_of(name: str, args: Sequence[Any], out: Any) -> list[Tensor]:
    """The largest number of each result; what a fused operation hides within as well: products of
    queries and keys, and the 1 / √variance of a norm, 0 where the variance is ∞."""
    results = [each for each in tree_leaves(out) if _counts(each)]
    found = [each.amax() for each in results]
    if "norm" in name and len(results) > 1:
        found.append(1 / results[-1].amin())
    if "scaled_dot_product" in name:
        query, key = (each.float() for each in args[:2])
        key = key.repeat_interleave(query.shape[1] // key.shape[1], 1)
        found.append((query @ key.transpose(-1, -2)).abs().amax())
    return found


def _largest(value: Tensor) -> float:
    return float(value.amax())


def _finite(value: Tensor) -> Tensor:
    return value.abs().nan_to_num(0.0, 0.0, 0.0).amax()
