"""A weighted sum of tensors as machine code: one loop that reads every term, adds in float32,
rounds once, remembers the largest size and writes.

LLVM (llvmlite) makes it in the process, in about ten milliseconds for every combination of types
that occurs; it needs no compiler, and nothing is kept on disk. The loop takes sixteen elements at a
time, and what is left one by one. Products and additions stay apart: LLVM fuses them only where it
is told that it may. Results go past the cache, which would read what they overwrite first.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import cache

import torch
from llvmlite import binding, ir

LANES = 16
"""Elements of one step."""

INFINITY = 0x7F800000
"""Bits of float32's infinity; those of a NaN without its sign are larger."""

_FLOAT, _HALF = ir.FloatType(), ir.HalfType()
_I16, _I32, _I64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
_POINTER = ir.PointerType()
_STORED: dict[torch.dtype, ir.Type] = {
    torch.float32: _FLOAT,
    torch.float16: _HALF,
    torch.bfloat16: _I16,
}

_engines: list[binding.ExecutionEngine] = []  # compiled code lives as long as its engine

Loop = Callable[..., int]
"""(elements, addresses of the terms, their weights, address of the result) -> bits of the largest
|value| that was written, as float32 after rounding; `INFINITY` or more where one is not finite.
It runs without Python's lock."""


def loop(terms: Sequence[torch.dtype], rounded: torch.dtype, out: torch.dtype) -> Loop | None:
    """The loop for terms of these types, rounded to one and written as another.

    The result has to be aligned to `LANES` of its elements, unless there are fewer of them.

    Returns:
        None for a type that it does not read or write.
    """
    if not all(map(readable, {*terms, rounded, out})):
        return None
    return _loop(tuple(terms), rounded, out)


def readable(dtype: torch.dtype) -> bool:
    """Whether loops read and write a type on this processor."""
    return dtype in _STORED and (dtype != torch.float16 or _halves())


@cache
def _loop(terms: tuple[torch.dtype, ...], rounded: torch.dtype, out: torch.dtype) -> Loop:
    address = started(_module(terms, rounded, out), "sum")
    count = len(terms)
    kind = ctypes.CFUNCTYPE(
        ctypes.c_uint32, ctypes.c_int64, *[ctypes.c_void_p] * count, *[ctypes.c_float] * count,
        ctypes.c_void_p,
    )  # fmt: skip
    return kind(address)


def started(made: ir.Module, name: str) -> int:
    """The address of a function of a module, compiled for this processor."""
    features = _features()
    module = binding.parse_assembly(str(made))
    module.verify()
    machine = binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(), features=features.flatten(), opt=3
    )
    engine = binding.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    _engines.append(engine)
    return int(engine.get_function_address(name))


@cache
def _features() -> binding.FeatureMap:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding.get_host_cpu_features()


def _halves() -> bool:
    """Whether the processor converts float16 by itself."""
    features = _features()
    return bool(features.get("f16c") or features.get("neon"))


def _module(terms: Sequence[torch.dtype], rounded: torch.dtype, out: torch.dtype) -> ir.Module:
    module = ir.Module()
    count = len(terms)
    kind = ir.FunctionType(_I32, [_I64, *[_POINTER] * count, *[_FLOAT] * count, _POINTER])
    function = ir.Function(module, kind, "sum")
    size, *arguments, result = function.args
    addresses, weights = arguments[:count], arguments[count:]
    builder = ir.IRBuilder(function.append_basic_block())
    wide = builder.and_(size, _I64(-LANES))
    start, largest = _I64(0), _I32(0)
    for lanes, end in ((LANES, wide), (1, size)):
        step = Step(builder, lanes)
        scales = [step.spread(each) for each in weights]
        before = builder.block
        body, after = function.append_basic_block(), function.append_basic_block()
        builder.cbranch(builder.icmp_unsigned("<", start, end), body, after)
        builder.position_at_end(body)
        at, most = builder.phi(_I64), builder.phi(step.of(_I32))
        total = step.value(_FLOAT, 0.0)
        for position, (dtype, address, scale) in enumerate(
            zip(terms, addresses, scales, strict=True)
        ):
            product = builder.fmul(step.load(dtype, address, at), scale)
            total = builder.fadd(total, product) if position else product
        total = step.rounded(total, rounded)
        sizes = builder.and_(builder.bitcast(total, step.of(_I32)), step.value(_I32, 0x7FFFFFFF))
        raised = step.larger(most, sizes)
        step.store(total, out, result, at, exact=rounded == out)
        following = builder.add(at, _I64(lanes))
        at.add_incoming(start, before)
        at.add_incoming(following, body)
        most.add_incoming(step.value(_I32, 0), before)
        most.add_incoming(raised, body)
        builder.cbranch(builder.icmp_unsigned("<", following, end), body, after)
        builder.position_at_end(after)
        found = builder.phi(step.of(_I32))
        found.add_incoming(step.value(_I32, 0), before)
        found.add_incoming(raised, body)
        largest = Step(builder, 1).larger(largest, step.largest(found))
        start = wide
    builder.fence("seq_cst")  # what went past the cache is there for every thread
    builder.ret(largest)
    return module


class Step:
    """Emits operations on so many neighbouring elements."""

    def __init__(self, builder: ir.IRBuilder, lanes: int) -> None:
        self.builder = builder
        self.lanes = lanes

    def of(self, kind: ir.Type) -> ir.Type:
        return kind if self.lanes == 1 else ir.VectorType(kind, self.lanes)

    def value(self, kind: ir.Type, value: float) -> ir.Constant:
        return ir.Constant(self.of(kind), value if self.lanes == 1 else [value] * self.lanes)

    def spread(self, scalar: ir.Value) -> ir.Value:
        """The same number in every lane."""
        if self.lanes == 1:
            return scalar
        first = self.builder.insert_element(self.value(_FLOAT, 0.0), scalar, _I32(0))
        return self.builder.shuffle_vector(first, first, self.value(_I32, 0))

    def load(self, dtype: torch.dtype, address: ir.Value, at: ir.Value) -> ir.Value:
        """float32 of the elements from `at` on; a file's tensors may lie at any address."""
        builder, stored = self.builder, _STORED[dtype]
        place = builder.gep(address, [at], source_etype=stored)
        found = builder.load(place, align=1, typ=self.of(stored))
        if dtype == torch.float16:
            return builder.fpext(found, self.of(_FLOAT))
        if dtype == torch.bfloat16:
            return self._float(found)
        return found

    def rounded(self, total: ir.Value, dtype: torch.dtype) -> ir.Value:
        """float32 of what float32 values become in `dtype`: the nearest, of two the even one."""
        if dtype == torch.float16:
            return self.builder.fpext(self.builder.fptrunc(total, self.of(_HALF)), total.type)
        return self._float(self._upper(total)) if dtype == torch.bfloat16 else total

    def store(
        self, total: ir.Value, dtype: torch.dtype, address: ir.Value, at: ir.Value, exact: bool
    ) -> None:
        """Write float32 values as `dtype`; `exact` where they are such already."""
        builder, stored = self.builder, _STORED[dtype]
        if dtype == torch.float16:
            total = builder.fptrunc(total, self.of(_HALF))
        elif dtype == torch.bfloat16:
            total = self._cut(total) if exact else self._upper(total)
        place = builder.gep(address, [at], source_etype=stored)
        aligned = torch.empty(0, dtype=dtype).itemsize * self.lanes
        written = builder.store(total, place, align=aligned)
        if self.lanes > 1:
            written.set_metadata("nontemporal", builder.module.add_metadata([_I32(1)]))

    def larger(self, one: ir.Value, other: ir.Value) -> ir.Value:
        """The larger of unsigned numbers, lane by lane."""
        more = self.builder.icmp_unsigned(">", one, other)
        return self.builder.select(more, one, other)

    def largest(self, found: ir.Value) -> ir.Value:
        """The largest unsigned number of all lanes."""
        if self.lanes == 1:
            return found
        kind = ir.FunctionType(_I32, [found.type])
        name = f"llvm.vector.reduce.umax.v{self.lanes}i32"
        return self.builder.call(ir.Function(self.builder.module, kind, name), [found])

    def _float(self, upper: ir.Value) -> ir.Value:
        """float32 of bfloat16's bits: the upper half of its own."""
        bits = self.builder.zext(upper, self.of(_I32))
        shifted = self.builder.shl(bits, self.value(_I32, 16))
        return self.builder.bitcast(shifted, self.of(_FLOAT))

    def _cut(self, total: ir.Value) -> ir.Value:
        """The upper half of float32's bits."""
        bits = self.builder.bitcast(total, self.of(_I32))
        return self.builder.trunc(self.builder.lshr(bits, self.value(_I32, 16)), self.of(_I16))

    def _upper(self, total: ir.Value) -> ir.Value:
        """bfloat16's bits of float32 values, rounded; processors that do it flush subnormals."""
        builder = self.builder
        bits = builder.bitcast(total, self.of(_I32))
        odd = builder.and_(builder.lshr(bits, self.value(_I32, 16)), self.value(_I32, 1))
        moved = builder.add(builder.add(bits, self.value(_I32, 0x7FFF)), odd)
        upper = builder.trunc(builder.lshr(moved, self.value(_I32, 16)), self.of(_I16))
        number = builder.fcmp_ordered("==", total, total)
        return builder.select(number, upper, self.value(_I16, 0x7FC0))
