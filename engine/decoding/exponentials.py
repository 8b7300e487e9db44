"""Σ exp over the vocabulary of many linear mixtures at once, as machine code: one reading of the
models' logits serves every weight vector.

    s_r = Σ_v exp(Σ_m w_rm (l_m(v) − l_m(anchor)) − shift_r)

The largest exponent is not searched for, which would be a second pass: `shift` is the largest among
the models' most likely tokens, so that s ≥ 1, and above it float32 holds e^88. The
exponentials are float32 and their sum float64: of a token as good as certain, −log p is the little
that all others add to 1. What a vector gives does not depend on how many there are: a group of
`TOGETHER` and one alone do the same operations in the same order.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import cache

from llvmlite import ir

from engine.merging.compiled import LANES, started

TOGETHER = 4
"""Weight vectors whose exponentials are taken side by side."""

_FLOAT, _DOUBLE, _I32, _I64 = ir.FloatType(), ir.DoubleType(), ir.IntType(32), ir.IntType(64)
_POINTER = ir.PointerType()
_WIDE, _WIDE_DOUBLE = ir.VectorType(_FLOAT, LANES), ir.VectorType(_DOUBLE, LANES)

LOWEST, HIGHEST = -87.0, 88.0
"""Exponents are cut to these: what is lost at the lower end is nothing beside a sum of at least 1,
and a sum that reaches the upper one is taken again."""

_MAGIC = 12582912.0
"""1.5 · 2^23: added to a float32 below 2^22 it rounds it, and its last bits are the integer."""

_POLYNOMIAL = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2,
               1.6666665459e-1, 5.0000001201e-1)  # fmt: skip
"""Of exp(r) = 1 + r + r² p(r), |r| ≤ ln 2 / 2: Cephes' expf, within 2 units of the last place."""

Sweep = Callable[..., None]
"""(first position, end; tokens; addresses of the models' logits; elements from one position to the
next of each; addresses of: places int64 [positions], anchors int64 [positions], differences of each
model's candidate from them float32 [positions, candidates, models], weights float32 [vectors,
models]; vectors; addresses of shifts float32 and sums float64, both [positions, vectors])"""


@cache
def sweep(models: int) -> Sweep:
    """The loop for so many models; at least `LANES` tokens."""
    kinds = [
        *[ctypes.c_int64] * 3, *[ctypes.c_void_p] * models, *[ctypes.c_int64] * models,
        *[ctypes.c_void_p] * 4, ctypes.c_int64, *[ctypes.c_void_p] * 2,
    ]  # fmt: skip
    return ctypes.CFUNCTYPE(None, *kinds)(started(_module(models), "sweep"))


def _module(models: int) -> ir.Module:
    module = ir.Module()
    taken = [*[_I64] * 3, *[_POINTER] * models, *[_I64] * models, *[_POINTER] * 4, _I64,
             *[_POINTER] * 2]  # fmt: skip
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), taken), "sweep")
    first, end, tokens, *rest = function.args
    addresses, strides = rest[:models], rest[models : 2 * models]
    places, anchors, differences, weights, vectors, shifts, sums = rest[2 * models :]
    code = _Code(ir.IRBuilder(function.append_basic_block()))
    builder = code.builder

    def position(at: ir.Value, _: Sequence[ir.Value]) -> list[ir.Value]:
        place, anchor = code.load(_I64, places, at), code.load(_I64, anchors, at)
        logits = [
            builder.gep(address, [builder.mul(place, stride)], source_etype=_FLOAT)
            for address, stride in zip(addresses, strides, strict=True)
        ]
        origins = [code.spread(code.load(_FLOAT, each, anchor)) for each in logits]
        size = _I64(models * models)
        nearby = builder.gep(differences, [builder.mul(at, size)], source_etype=_FLOAT)
        apart = [code.load(_FLOAT, nearby, _I64(place)) for place in range(models * models)]
        row = builder.mul(at, vectors)
        grouped = builder.mul(builder.udiv(vectors, _I64(TOGETHER)), _I64(TOGETHER))
        for start, stop, width in ((_I64(0), grouped, TOGETHER), (grouped, vectors, 1)):

            def group(
                vector: ir.Value, _: Sequence[ir.Value], width: int = width
            ) -> list[ir.Value]:
                own = builder.gep(weights, [builder.mul(vector, _I64(models))], source_etype=_FLOAT)
                scales = [
                    [code.load(_FLOAT, own, _I64(k * models + m)) for m in range(models)]
                    for k in range(width)
                ]
                found = [code.shift(each, apart) for each in scales]
                totals = code.sums(tokens, logits, origins, scales, found)
                for k, (shift, total) in enumerate(zip(found, totals, strict=True)):
                    where = builder.add(builder.add(row, vector), _I64(k))
                    code.store(shift, shifts, where)
                    code.store(total, sums, where)
                return []

            code.loop(start, stop, width, [], group)
        return []

    code.loop(first, end, 1, [], position)
    builder.ret_void()
    return module


class _Code:
    """Emits the parts of a sweep."""

    def __init__(self, builder: ir.IRBuilder) -> None:
        self.builder = builder
        self._declared: dict[str, ir.Function] = {}

    def loop(
        self,
        start: ir.Value,
        end: ir.Value,
        stride: int,
        carried: Sequence[ir.Value],
        body: Callable[[ir.Value, Sequence[ir.Value]], list[ir.Value]],
    ) -> list[ir.Value]:
        """`body(at, values)` gives the values of the next step; those after the last step."""
        builder = self.builder
        before = builder.block
        head = builder.append_basic_block()
        builder.branch(head)
        builder.position_at_end(head)
        at = builder.phi(_I64)
        values = [builder.phi(each.type) for each in carried]
        inside, after = builder.append_basic_block(), builder.append_basic_block()
        builder.cbranch(builder.icmp_signed("<", at, end), inside, after)
        builder.position_at_end(inside)
        later = body(at, values)
        following = builder.add(at, _I64(stride))
        for phi, initial, new in zip((at, *values), (start, *carried), (following, *later),
                                     strict=True):  # fmt: skip
            phi.add_incoming(initial, before)
            phi.add_incoming(new, builder.block)
        builder.branch(head)
        builder.position_at_end(after)
        return list(values)

    def load(self, kind: ir.Type, address: ir.Value, at: ir.Value) -> ir.Value:
        place = self.builder.gep(address, [at], source_etype=getattr(kind, "element", kind))
        return self.builder.load(place, align=4, typ=kind)

    def store(self, value: ir.Value, address: ir.Value, at: ir.Value) -> None:
        place = self.builder.gep(address, [at], source_etype=value.type)
        self.builder.store(value, place, align=4)

    def spread(self, scalar: ir.Value) -> ir.Value:
        """The same number in every lane."""
        first = self.builder.insert_element(ir.Constant(_WIDE, None), scalar, _I32(0))
        lanes = ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES)
        return self.builder.shuffle_vector(first, first, lanes)

    def call(self, name: str, *given: ir.Value) -> ir.Value:
        """An intrinsic on values of one type, or that reduces them."""
        if name not in self._declared:
            result = given[0].type if "reduce" not in name else _DOUBLE
            kind = ir.FunctionType(result, [each.type for each in given])
            self._declared[name] = ir.Function(self.builder.module, kind, name)
        return self.builder.call(self._declared[name], given)

    def product_sum(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        """a · b + c, rounded once where the processor does."""
        wide = isinstance(a.type, ir.VectorType)
        return self.call(f"llvm.fmuladd.{f'v{LANES}' if wide else ''}f32", a, b, c)

    def shift(self, scales: Sequence[ir.Value], apart: Sequence[ir.Value]) -> ir.Value:
        """The largest exponent among the anchor's, which is 0, and the candidates'; that of a model
        of weight 0 is none, for then the mixture may run without it."""
        builder, found = self.builder, _FLOAT(0.0)
        count = len(scales)
        for model, own in enumerate(scales):
            total = _FLOAT(0.0)
            for scale, each in zip(scales, apart[model * count : (model + 1) * count], strict=True):
                total = self.product_sum(scale, each, total)
            counts = builder.and_(
                builder.fcmp_ordered(">", total, found),
                builder.fcmp_ordered("!=", own, _FLOAT(0.0)),
            )
            found = builder.select(counts, total, found)
        return found

    def sums(
        self,
        tokens: ir.Value,
        logits: Sequence[ir.Value],
        origins: Sequence[ir.Value],
        scales: Sequence[Sequence[ir.Value]],
        shifts: Sequence[ir.Value],
    ) -> list[ir.Value]:
        """Σ_v exp of each vector, float64: whole steps, then the last `LANES` tokens, of which
        those that were counted before are left out."""
        builder = self.builder
        weights = [[self.spread(each) for each in one] for one in scales]
        starts = [self.spread(builder.fneg(each)) for each in shifts]

        def exponentials(at: ir.Value) -> list[ir.Value]:
            apart = [
                builder.fsub(self.load(_WIDE, each, at), origin)
                for each, origin in zip(logits, origins, strict=True)
            ]
            found = []
            for own, start in zip(weights, starts, strict=True):
                total = start
                for weight, each in zip(own, apart, strict=True):
                    total = self.product_sum(weight, each, total)
                found.append(self.exp(total))
            return found

        def step(at: ir.Value, totals: Sequence[ir.Value]) -> list[ir.Value]:
            return widened(totals, exponentials(at))

        def widened(totals: Sequence[ir.Value], found: Sequence[ir.Value]) -> list[ir.Value]:
            pairs = zip(totals, found, strict=True)
            return [builder.fadd(total, builder.fpext(each, _WIDE_DOUBLE)) for total, each in pairs]

        whole = builder.and_(tokens, _I64(-LANES))
        none, empty = ir.Constant(_WIDE, None), ir.Constant(_WIDE_DOUBLE, None)
        totals = self.loop(_I64(0), whole, LANES, [empty] * len(scales), step)
        last = builder.sub(tokens, _I64(LANES))
        numbers = ir.Constant(ir.VectorType(_I64, LANES), list(range(LANES)))
        known = builder.insert_element(
            ir.Constant(numbers.type, None), builder.sub(whole, last), _I32(0)
        )
        known = builder.shuffle_vector(
            known, known, ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES)
        )
        fresh = builder.icmp_signed(">=", numbers, known)
        rest = [builder.select(fresh, each, none) for each in exponentials(last)]
        return [
            self.call(f"llvm.vector.reduce.fadd.v{LANES}f64", _DOUBLE(0.0), each)
            for each in widened(totals, rest)
        ]

    def exp(self, value: ir.Value) -> ir.Value:
        """e to the power of each lane, cut to `LOWEST` … `HIGHEST`; NaN stays NaN."""
        builder = self.builder

        def every(number: float) -> ir.Constant:
            return ir.Constant(_WIDE, [number] * LANES)

        for sign, limit in (("<", every(LOWEST)), (">", every(HIGHEST))):
            value = builder.select(builder.fcmp_ordered(sign, value, limit), limit, value)
        moved = self.product_sum(value, every(1.4426950216293335), every(_MAGIC))
        power = builder.fsub(moved, every(_MAGIC))
        rest = self.product_sum(power, every(-0.693359375), value)
        rest = self.product_sum(power, every(2.12194440e-4), rest)
        found = every(_POLYNOMIAL[0])
        for each in _POLYNOMIAL[1:]:
            found = self.product_sum(found, rest, every(each))
        found = self.product_sum(found, builder.fmul(rest, rest), rest)
        found = builder.fadd(found, every(1.0))
        integers = ir.VectorType(_I32, LANES)
        twos = ir.Constant(integers, [23] * LANES)
        raised = builder.shl(builder.bitcast(moved, integers), twos)
        return builder.bitcast(builder.add(builder.bitcast(found, integers), raised), _WIDE)
