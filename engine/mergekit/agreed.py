"""Two models' differences of the winning sign, added to the base by one loop of machine code.

It does what `differences.merged_differences` does for consensus, step by step and rounding at each.
It reads every tensor once and keeps what is between in registers; torch takes twenty passes for it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import cache

import torch
from llvmlite import ir
from torch import Tensor

from engine.merging.compiled import LANES, Step, readable, started

_FLOAT, _I8, _I64, _POINTER = ir.FloatType(), ir.IntType(8), ir.IntType(64), ir.PointerType()


def merge_two(
    base: Tensor,
    models: Sequence[Tensor],
    masks: Sequence[Tensor],
    weights: Tensor,
    normalize: bool,
) -> Tensor | None:
    """θ0 + mix, with lambda 1; None where the loop cannot do it.

    Args:
        base, models: flat, of one type; two models.
        masks: bool, which differences are kept.
        weights: [2], of that type.
    """
    every = (base, *models, *masks)
    if any(each.device.type != "cpu" or not each.is_contiguous() for each in every):
        return None
    if not readable(base.dtype):
        return None
    out = torch.empty_like(base)
    addresses = [each.data_ptr() for each in every]
    _loop(base.dtype, normalize)(
        base.numel(), *addresses, *weights.float().tolist(), out.data_ptr()
    )
    return out


@cache
def _loop(dtype: torch.dtype, normalize: bool) -> Callable[..., None]:
    kinds = [ctypes.c_int64, *[ctypes.c_void_p] * 5, *[ctypes.c_float] * 2, ctypes.c_void_p]
    return ctypes.CFUNCTYPE(None, *kinds)(started(_module(dtype, normalize), "merge"))


def _module(dtype: torch.dtype, normalize: bool) -> ir.Module:
    module = ir.Module()
    kind = ir.FunctionType(
        ir.VoidType(), [_I64, *[_POINTER] * 5, *[_FLOAT] * 2, _POINTER]
    )  # fmt: skip
    function = ir.Function(module, kind, "merge")
    size, base, *given, one, other, out = function.args
    builder = ir.IRBuilder(function.append_basic_block())
    wide = builder.and_(size, _I64(-LANES))
    start: ir.Value = _I64(0)
    for lanes, end in ((LANES, wide), (1, size)):
        step = Step(builder, lanes)
        weights = [step.spread(one), step.spread(other)]
        before = builder.block
        body, after = function.append_basic_block(), function.append_basic_block()
        builder.cbranch(builder.icmp_unsigned("<", start, end), body, after)
        builder.position_at_end(body)
        at = builder.phi(_I64)
        origin = step.load(dtype, base, at)
        models = [step.load(dtype, each, at) for each in given[:2]]
        masks = [_kept(step, each, at) for each in given[2:]]
        mix = _mixed(step, dtype, origin, models, masks, weights, normalize)
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
    step: Step,
    dtype: torch.dtype,
    origin: ir.Value,
    models: list[ir.Value],
    masks: list[ir.Value],
    weights: list[ir.Value],
    normalize: bool,
) -> ir.Value:
    builder, none = step.builder, step.value(_FLOAT, 0.0)

    def product(one: ir.Value, other: ir.Value) -> ir.Value:
        return step.rounded(builder.fmul(one, other), dtype)

    def total(one: ir.Value, other: ir.Value) -> ir.Value:
        """Never −0, since torch's sum starts from 0."""
        return builder.fadd(step.rounded(builder.fadd(one, other), dtype), none)

    weighted = []
    for model, mask, weight in zip(models, masks, weights, strict=True):
        difference = step.rounded(builder.fsub(model, origin), dtype)
        weighted.append(product(product(difference, mask), weight))
    elected = total(*weighted)
    up = builder.fcmp_ordered(">=", elected, none)
    down = builder.fcmp_ordered("<", elected, none)
    counts = []
    for each in weighted:
        above = builder.and_(builder.fcmp_ordered(">", each, none), up)
        below = builder.and_(builder.fcmp_ordered("<", each, none), down)
        counts.append(builder.uitofp(builder.or_(above, below), step.of(_FLOAT)))
    mix = total(*(product(each, count) for each, count in zip(weighted, counts, strict=True)))
    if not normalize:
        return mix
    weight = total(*(product(each, count) for each, count in zip(weights, counts, strict=True)))
    nothing = builder.fcmp_ordered("==", weight, none)
    weight = builder.select(nothing, step.value(_FLOAT, 1.0), weight)
    return step.rounded(builder.fdiv(mix, weight), dtype)
