"""A forward pass with every operation watched: the size of its numbers, and which one is at fault.

    x ──► x² ──► mean ──► rsqrt ──► · x              a norm whose squares overflow: x² = ∞,
          ∞       ∞        0        0                1 / √∞ = 0, and the layer says nothing

An operation is at fault where it gives +∞ or no number; −∞ is what masks are made of. No class of
docs/models.md has any such operation while its numbers fit their type.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.module_tracker import ModuleTracker

from engine.decoding.stage import Stage

NEAR = 1e25
"""Numbers, squares within norms included, from which on another row may overflow where one does
not: float32 and bfloat16 end at 3.4e38."""

_UNWRITTEN = ("aten::empty", "aten::new_empty")
"""Operations whose numbers nobody wrote yet."""

_FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


def look_at(stage: Stage, ids: Tensor) -> float:
    """The largest number of any operation of a stage, run over `ids` [rows, columns] without
    padding; ∞ or no number where one overflows."""
    watch = _Largest()
    _read(stage, ids, watch)
    return watch.largest


def overflow_of(stage: Stage, ids: Tensor) -> tuple[str | None, float]:
    """The operation that makes +∞ or no number of numbers, in words (None: there is none), and the
    largest number that there is beside infinity. Slower than `look_at`."""
    with ModuleTracker() as tracker:
        watch = _Fault(tracker)
        _read(stage, ids, watch)
    return watch.found, watch.largest


def _read(stage: Stage, ids: Tensor, watch: TorchDispatchMode) -> None:
    """Run a stage over `ids` [rows, columns], watched."""
    positions = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
    with torch.no_grad(), watch:
        stage.run(ids, None, positions, 1)


class _Largest(TorchDispatchMode):
    """Keeps the largest number of every result, compared at the end with one synchronisation."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: list[Tensor] = []

    @property
    def largest(self) -> float:
        """Of all results; no number where one is none."""
        seen = [each.double() for each in self._seen]
        return float(torch.stack(seen).amax()) if seen else -math.inf

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **kwargs) if kwargs else func(*args)
        look = _look(func)
        if look is not None:
            self._seen += look(args, out)
        return out


class _Fault(TorchDispatchMode):
    """Finds the operation that makes +∞, or no number, of numbers.

    An exponential may: 1 / (1 + exp(100)) is right, and what is masked later does not matter. Where
    it does matter, there is no number soon.

    Attributes:
        found: the first, in words; None if there is none.
        largest: of all results that are finite.
    """

    def __init__(self, tracker: ModuleTracker) -> None:
        super().__init__()
        self._tracker = tracker
        self.found: str | None = None
        self.largest = -math.inf

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        into = [each for each in tree_leaves((args, kwargs)) if counts(each)]
        before = [float(each.amax()) for each in into] if self.found is None else []
        name = func.name().partition("::")[2].partition(".")[0]
        out = func(*args, **(kwargs or {}))
        look = _look(func)
        if self.found is not None or look is None:
            return out
        largest = [float(each) for each in look(args, out)]
        self.largest = max([self.largest, *(each for each in largest if math.isfinite(each))])
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


def counts(value: Any) -> bool:
    """Whether it is a tensor of numbers that can be compared."""
    return isinstance(value, Tensor) and value.dtype in _FLOATS and value.numel() > 0


Look = Callable[[Sequence[Any], Any], list[Tensor]]


@functools.lru_cache(maxsize=4096)
def _look(func: Any) -> Look | None:
    """How the largest numbers of an operation's results are found; None if it makes none."""
    name = func.name()
    if func.is_view or name.startswith(_UNWRITTEN):
        return None
    if "scaled_dot_product" in name:
        return _attended
    return _normed if "norm" in name else _largest


def _largest(args: Sequence[Any], out: Any) -> list[Tensor]:
    """The largest number of each result."""
    if isinstance(out, Tensor):
        return [out.amax()] if counts(out) else []
    return [each.amax() for each in tree_leaves(out) if counts(each)]


def _normed(args: Sequence[Any], out: Any) -> list[Tensor]:
    """What a fused norm hides as well: the variance whose 1 / √ it gives, a length's square."""
    results = [each for each in tree_leaves(out) if counts(each)]
    hidden = [1 / results[-1].amin() if len(results) > 1 else each.amax() for each in results[-1:]]
    return [*(each.amax() for each in results), *(each.double().square() for each in hidden)]


def _attended(args: Sequence[Any], out: Any) -> list[Tensor]:
    """What a fused attention hides as well: the products of queries and keys."""
    query, key = (each.float() for each in args[:2])
    key = key.repeat_interleave(query.shape[1] // key.shape[1], 1)
    return [*_largest(args, out), (query @ key.transpose(-1, -2)).abs().amax()]


def _finite(value: Tensor) -> Tensor:
    return value.abs().nan_to_num(0.0, 0.0, 0.0).amax()
