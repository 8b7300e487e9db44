"""Non-finite numbers, which make a model's answers meaningless: detected and refused.

    weights       the largest of each looked at        a point; no row is special to small weights
    first rows    one forward, every operation watched     once for weights of a size
    every row     the same for all that was read           only where one of the two comes near
    logits        not all alike, and finite            wherever they are read

A residual stream hides a layer that contributes nothing, and a norm hides an overflow, so logits
alone do not show it (`engine.decoding.watching`). A row overflows alone where the embedding of a
token, or an expert that few rows reach, is so large that its weights tell; or where numbers are
close to the limit in every row.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from engine.decoding.inputs import Fused, Tick
from engine.decoding.stage import Stage
from engine.decoding.watching import NEAR, counts, look_at, overflow_of
from engine.errors import ParetoscopeError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ROWS, COLUMNS = 1, 8
"""Rows of the first watched forward and their ids at most."""

EVERY_ROWS = 16
"""Rows of a watched forward where every row is."""

LARGE = 1e4
"""A weight beyond it may make the one row overflow that reads it. Normed inputs times four
matrices of such weights stay below 1e19, whose square is the first that float32 does not hold."""

GROWN = 2.0
"""Weights that are no larger than so many times those that were watched are not watched again:
`NEAR` leaves 1e13 to what they multiply to between two norms."""

SAMPLE = 24
"""Logits of a position that are looked at first, evenly spaced."""

SHARE = 8
"""One in so many ids may share the largest logit; in 16 bits a few do."""

_PASSED: WeakKeyDictionary[PreTrainedModel, list[float]] = WeakKeyDictionary()
"""Module -> sizes of the weights with which its first rows were far from the limit."""


class Unsound(ParetoscopeError):
    """A model whose numbers overflow or whose logits carry no information: it has no scores."""


def alike(logits: Tensor, limit: int | None = None) -> Tensor | None:
    """Where so many ids share the largest logit that it carries no information.

    Args:
        logits: float [..., vocabulary].
        limit: ids from here on are masked and ignored.

    Returns:
        bool [...], or None if it is so nowhere.
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
        "many tokens share the largest logit, so there is no most likely answer: the model "
        "overflows, or its weights carry no information"
    )


def refuse_infinite(totals: Tensor, read: Tensor | None = None) -> None:
    """Raises `Unsound` where logits that were read are not finite.

    Args:
        totals: a sum over the logits of each position that is infinite or no number where one of
            them is +∞ or none, or where all are −∞: their logsumexp, say.
        read: bool, the shape of `totals`: which of them matter; None: all.
    """
    finite = totals.isfinite()
    if not bool((finite if read is None else finite | ~read).all()):
        raise Unsound(NOT_FINITE)


NOT_FINITE = "the logits are not finite: the model overflows; try another --compute-dtype"


def check_sound(model: Fused, texts: Sequence[Sequence[int]], tick: Tick) -> bool:
    """Look at the weights of a model, and run a text through every module with each operation
    watched, unless weights of this size were watched before.

    Args:
        texts: ids, at least one text, none empty.
        tick: called before each forward.

    Returns:
        Whether numbers come near the limit, so that `check_every` should check everything that is
        read.

    Raises:
        Unsound: an operation gives infinity or NaN; the message names operation, layer and model.
    """
    near = False
    for name, module in _named(model):
        tick()
        now = _sizes(module)
        large = not all(each <= LARGE for each in now)
        then = _PASSED.get(module, [])
        if not large and _within(now, then):
            continue
        stage = Stage(module, model.mixture is not None)
        chosen = sorted(texts, key=len)[-(1 if stage.feeding.rows == "alone" else ROWS) :]
        columns = min(COLUMNS, *map(len, chosen))
        close = _watched(name, stage, [each[:columns] for each in chosen])
        near = near or large or close
        if not large and not close:
            _PASSED[module] = now
    return near


def check_every(model: Fused, texts: Iterable[Sequence[int]], tick: Tick) -> None:
    """Run all texts through every module of a model, each operation watched.

    Args:
        texts: ids as they were fed; empty ones are left out.

    Raises:
        Unsound: as for `check_sound`.
    """
    by_length: dict[int, list[tuple[int, ...]]] = {}
    for text in dict.fromkeys(tuple(each) for each in texts if len(each)):
        by_length.setdefault(len(text), []).append(text)
    for name, module in _named(model):
        rows = 1 if Stage(module, False).feeding.rows == "alone" else EVERY_ROWS
        for same in by_length.values():
            for start in range(0, len(same), rows):
                tick()
                stage = Stage(module, model.mixture is not None)
                _watched(name, stage, same[start : start + rows])


def _named(model: Fused) -> Iterable[tuple[str, PreTrainedModel]]:
    names = ("the model",) if model.mixture is None else model.mixture.labels
    return zip(names, model.modules, strict=True)


def _watched(name: str, stage: Stage, texts: Sequence[Sequence[int]]) -> bool:
    """Whether texts of one length make a module's numbers come near the limit."""
    ids = torch.tensor([list(each) for each in texts], device=stage.module.device)
    largest = look_at(stage, ids)
    if largest < math.inf:
        return not largest < NEAR
    fault, largest = overflow_of(Stage(stage.module, stage.widen), ids)
    if fault is not None:
        raise Unsound(f"the numbers of {name} overflow in {fault}")
    return not largest < NEAR


def _sizes(module: PreTrainedModel) -> list[float]:
    """The largest magnitude of each parameter, and the scale of each adapter that runs."""
    parts = [torch.aminmax(each) for each in module.parameters() if counts(each)]
    ends = torch.stack([end.double() for part in parts for end in part]).tolist() if parts else []
    sizes = [max(abs(a), abs(b)) for a, b in zip(ends[::2], ends[1::2], strict=True)]
    for part in module.modules():
        scaling = vars(part).get("scaling")
        if isinstance(scaling, Mapping):
            running = getattr(part, "active_adapters", ())
            sizes += [abs(float(s)) if name in running else 0.0 for name, s in scaling.items()]
    return sizes


def _within(now: Sequence[float], then: Sequence[float]) -> bool:
    """Whether weights are no larger than those that were watched, or small."""
    return len(now) == len(then) and all(
        each <= max(1.0, GROWN * before) for each, before in zip(now, then, strict=True)
    )
