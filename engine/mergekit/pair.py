"""Two models' differences added to the base by one loop of machine code.

It does what `differences.merged_differences` does, step by step and rounding at each. It reads
every tensor once and keeps what is between in registers; torch takes up to twenty passes for it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import torch
from llvmlite import ir
from torch import Tensor

from engine.merging.compiled import LANES, Step, readable, started

_FLOAT, _I8, _I64, _POINTER = ir.FloatType(), ir.IntType(8), ir.IntType(64), ir.PointerType()


class Kind(NamedTuple):
    """What a loop does.

    Attributes:
        dtype: of every tensor; it rounds to it at each step.
        masked: whether only a part of the differences is kept.
        consensus: whether only differences of the winning sign count.
        normalize: with consensus, whether they are divided by the weights that count.
    """

    dtype: torch.dtype
    masked: bool
    consensus: bool
    normalize: bool


def merge_two(
    kind: Kind,
    base: Tensor,
    models: Sequence[Tensor],
    masks: Sequence[Tensor],
    factors: Sequence[float],
    weights: Tensor,
) -> Tensor | None:
    """θ0 + mix, with lambda 1; None where no loop can do it.

    Args:
        base, models: flat; two models.
        masks: bool, which differences are kept; none if not `masked`.
        factors: what is kept of each model is multiplied by it.
        weights: [2], of the type of the tensors.
    """
    every = (base, *models, *masks)
    if any(each.device.type != "cpu" or not each.is_contiguous() for each in every):
        return None
    if any(len(each) != len(base) for each in every):
        raise ValueError(
            f"tensors of {[len(each) for each in every]} elements are not of one shape"
        )
    if any(each.dtype != kind.dtype for each in (base, *models)):
        return None
    if not readable(kind.dtype) or (kind.normalize and not kind.consensus):
        return None
    out = torch.empty_like(base)
    addresses = [each.data_ptr() for each in every] + [0] * (2 - len(masks))
    numbers = (*factors, *weights.float().tolist())
    _loop(kind)(base.numel(), *addresses, *numbers, out.data_ptr())
    return out


@cache
def _loop(kind: Kind) -> Callable[..., None]:
    kinds = [ctypes.c_int64, *[ctypes.c_void_p] * 5, *[ctypes.c_float] * 4, ctypes.c_void_p]
    return ctypes.CFUNCTYPE(None, *kinds)(started(_module(kind), "merge"))


def _module(kind: Kind) -> ir.Module:
    dtype, module = kind.dtype, ir.Module()
    taken = [_I64, *[_POINTER] * 5, *[_FLOAT] * 4, _POINTER]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), taken), "merge")
    size, base, *given, out = function.args
    builder = ir.IRBuilder(function.append_basic_block())
    wide = builder.and_(size, _I64(-LANES))
    start: ir.Value = _I64(0)
    for lanes, end in ((LANES, wide), (1, size)):
        step = Step(builder, lanes)
        factors = [step.spread(each) for each in given[4:6]]
        weights = [step.spread(each) for each in given[6:]]
        before = builder.block
        body, after = function.append_basic_block(), function.append_basic_block()
        builder.cbranch(builder.icmp_unsigned("<", start, end), body, after)
        builder.position_at_end(body)
        at = builder.phi(_I64)
        origin = step.load(dtype, base, at)
        weighted = []
        for place, factor, weight in zip((0, 1), factors, weights, strict=True):
            model = step.load(dtype, given[place], at)
            kept = step.rounded(builder.fsub(model, origin), dtype)
            if kind.masked:
                kept = builder.fmul(kept, _kept(step, given[2 + place], at))
                kept = step.rounded(builder.fmul(kept, factor), dtype)
            weighted.append(step.rounded(builder.fmul(kept, weight), dtype))
        mix = _mixed(step, kind, weighted, weights)
        merged = step.rounded(builder.fadd(origin, mix), dtype)
        step.store(merged, dtype, out, at, exact=True)
        following = builder.add(at, _I64(lanes))
        at.add_incoming(start, before)
        at.add_incoming(following, body)
        builder.cbranch(builder.icmp_unsigned("<", following, end), body, after)
        builder.position_at_end(after)
        start = wide
    builder.fence("seq_cst")  # what went past the cache is there for every thread
    builder.ret_void()
    return module


def _kept(step: Step, mask: ir.Value, at: ir.Value) -> ir.Value:
    """1.0 where an element is kept, else 0.0."""
    place = step.builder.gep(mask, [at], source_etype=_I8)
    found = step.builder.load(place, align=1, typ=step.of(_I8))
    return step.builder.uitofp(found, step.of(_FLOAT))


def _mixed(
    step: Step, kind: Kind, weighted: Sequence[ir.Value], weights: Sequence[ir.Value]
) -> ir.Value:
    builder, none = step.builder, step.value(_FLOAT, 0.0)

    def total(one: ir.Value, other: ir.Value) -> ir.Value:
        """Never −0, since torch's sum starts from 0."""
        return builder.fadd(step.rounded(builder.fadd(one, other), kind.dtype), none)

    if not kind.consensus:
        return total(*weighted)
    elected = total(*weighted)
    up = builder.fcmp_ordered(">=", elected, none)
    down = builder.fcmp_ordered("<", elected, none)
    counts = []
    for each in weighted:
        above = builder.and_(builder.fcmp_ordered(">", each, none), up)
        below = builder.and_(builder.fcmp_ordered("<", each, none), down)
        counts.append(builder.uitofp(builder.or_(above, below), step.of(_FLOAT)))
    mix = total(*map(builder.fmul, weighted, counts))
    if not kind.normalize:
        return mix
    weight = total(*map(builder.fmul, weights, counts))
    nothing = builder.fcmp_ordered("==", weight, none)
    weight = builder.select(nothing, step.value(_FLOAT, 1.0), weight)
    return step.rounded(builder.fdiv(mix, weight), kind.dtype)
