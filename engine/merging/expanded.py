"""Values that stand where bits are set, times a weight, added in place by a loop of machine code.

torch has to be told the place of each, eight bytes a value; here sixteen elements take their values
from the stream at once, which is one instruction where the processor has it (AVX-512).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

from llvmlite import ir
from torch import Tensor

from engine.merging.bitmap import places
from engine.merging.compiled import LANES, Step, started

_FLOAT, _I16, _I64, _POINTER = ir.FloatType(), ir.IntType(16), ir.IntType(64), ir.PointerType()
_BITS = ir.VectorType(ir.IntType(1), LANES)


def add_kept(part: Tensor, bits: Tensor, values: Tensor, weight: float) -> None:
    """part[i] += weight · (the next value), for each set bit i; the product is rounded first.

    Args:
        part: float32 [k], contiguous.
        bits: uint8 [⌈k / 8⌉], contiguous, the lowest bit first.
        values: float32, one for each set bit, contiguous.
    """
    done = taken = 0
    if part.device.type == "cpu":
        done = len(part) // LANES * LANES
        taken = _loop()(done, part.data_ptr(), bits.data_ptr(), values.data_ptr(), weight)
    if done < len(part):
        rest = part[done:]
        rest.index_add_(0, places(bits[done // 8 :], len(rest)), values[taken:] * weight)


@cache
def _loop() -> Callable[..., int]:
    kinds = (ctypes.c_int64, *[ctypes.c_void_p] * 3, ctypes.c_float)
    return ctypes.CFUNCTYPE(ctypes.c_int64, *kinds)(started(_module(), "add"))


def _module() -> ir.Module:
    """(elements, a multiple of `LANES`; addresses of part, bits and values; weight) -> values
    taken."""
    module = ir.Module()
    kind = ir.FunctionType(_I64, [_I64, *[_POINTER] * 3, _FLOAT])
    function = ir.Function(module, kind, "add")
    size, part, bits, values, weight = function.args
    builder = ir.IRBuilder(function.append_basic_block())
    step = Step(builder, LANES)
    wide = step.of(_FLOAT)
    expand = ir.Function(
        module, ir.FunctionType(wide, [_POINTER, _BITS, wide]), "llvm.masked.expandload.v16f32"
    )
    scale, before = step.spread(weight), builder.block
    body, after = function.append_basic_block(), function.append_basic_block()
    builder.cbranch(builder.icmp_unsigned("<", _I64(0), size), body, after)
    builder.position_at_end(body)
    at, taken = builder.phi(_I64), builder.phi(_I64)
    word = builder.load(
        builder.gep(bits, [builder.lshr(at, _I64(4))], source_etype=_I16), align=1, typ=_I16
    )
    mask = builder.bitcast(word, _BITS)
    stream = builder.gep(values, [taken], source_etype=_FLOAT)
    found = builder.call(expand, [stream, mask, step.value(_FLOAT, 0.0)])
    place = builder.gep(part, [at], source_etype=_FLOAT)
    old = builder.load(place, align=4, typ=wide)
    new = builder.fadd(old, builder.fmul(found, scale))
    builder.store(builder.select(mask, new, old), place, align=4)
    following = builder.add(at, _I64(LANES))
    further = builder.add(taken, builder.zext(builder.ctpop(word), _I64))
    for phi, later in ((at, following), (taken, further)):
        phi.add_incoming(_I64(0), before)
        phi.add_incoming(later, body)
    builder.cbranch(builder.icmp_unsigned("<", following, size), body, after)
    builder.position_at_end(after)
    total = builder.phi(_I64)
    total.add_incoming(_I64(0), before)
    total.add_incoming(further, body)
    builder.ret(total)
    return module
