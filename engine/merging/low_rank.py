"""Bases of methods that need a whole matrix at a time, and whose W_i is a product of thin factors.

    Whole     task vectors of one tensor, expert by expert, each read when it is asked for
    LowRank   θ(c) = θ0 + Σ c_i L_i R_i, (L, R) = factor(whole)      computes them at every pass
    Kept      the same with L and R kept in memory, or, where there is room, their products

n experts share a tensor's rank, so that their L and R take at most two square matrices, where the
products are n. Multiplying them out is what a slider move would mostly wait for: it is done once
where there is room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from engine.errors import bad
from engine.merging.basis import CHUNK, Basis, Tensors, sums_of
from engine.merging.checked_file import Pieces
from engine.merging.shelf import give_back
from engine.merging.sums import Sum, accumulate, joined, write

PRODUCTS = 1 << 31
"""Bytes up to which the products of all matrices are kept: moves are about ten times as fast."""


class Factors(NamedTuple):
    """W_i = left @ right.

    Attributes:
        left: float32 [rows, k].
        right: float32 [k, columns].
    """

    left: Tensor
    right: Tensor


class Whole:
    """Task vectors of one tensor.

    Attributes:
        name: of the tensor, as the base's files have it.
        experts: in the family's order.
        shape: of the merged part.
        device: where the arithmetic runs.
    """

    def __init__(self, tensors: Tensors, name: str) -> None:
        self.name = name
        self.experts = tensors.experts
        self.shape = tensors.merged_shape(name)
        self.device = tensors.device
        self.tick = tensors.tick
        self._tensors = tensors

    def vector(self, expert: str) -> Tensor:
        """τ of one expert, float32 of `shape`.

        Raises:
            BadInput: it overflows float32.
        """
        tensors = self._tensors
        found = torch.zeros(self.shape, device=self.device)
        if expert in tensors.full:
            flat = found.view(-1)
            base = tensors.read("base", self.name).reshape(-1)
            theirs = tensors.read(expert, self.name).reshape(-1)
            for start in range(0, len(flat), CHUNK):
                part = slice(start, start + CHUNK)
                torch.sub(theirs[part].float(), base[part].float(), out=flat[part])
        elif (delta := tensors.delta(expert, self.name)) is not None:
            found.copy_(delta)
        tensors.seen += found.numel() // len(self.experts)
        tensors.tick()
        if not found.isfinite().all():
            what = f"the difference of {expert} from the base overflows float32"
            raise bad(f"tensor {self.name}", what, "Leave this expert out of the family.")
        return found

    def product(self, expert: str) -> tuple[Tensor, Tensor] | None:
        """(up [rows, r], down [r, columns]) float64 of a LoRA expert that changes the tensor:
        τ = up @ down. None for any other expert."""
        return None if expert in self._tensors.full else self._tensors.product(expert, self.name)


class LowRank:
    """θ(c) = θ0 + Σ c_i L_i R_i on matrices, and another basis on the other tensors.

    Args:
        factor: task vectors of a tensor -> the factors of every expert.
        takes: whether `factor` is for the tensor of that name.
        others: basis of the tensors that it is not for.
    """

    def __init__(
        self,
        tensors: Tensors,
        factor: Callable[[Whole], Sequence[Factors]],
        takes: Callable[[str], bool],
        others: Basis,
    ) -> None:
        self.tensors = tensors
        self.takes = takes
        self.others = others
        self._factor = factor

    def factors(self, name: str) -> Sequence[Factors]:
        """L_i and R_i of a tensor that it takes."""
        return self._factor(Whole(self.tensors, name))

    def combine(self, name: str, coefficients: Mapping[str, float], out: Tensor) -> None:
        """Write θ(c)[name], computing the factors on the way where a coefficient needs them."""
        if not self.takes(name):
            self.others.combine(name, coefficients, out)
            return
        needed = any(coefficients[expert] != 0.0 for expert in self.tensors.experts)
        _write(self.tensors, name, self.factors(name) if needed else (), coefficients, out)

    @property
    def matrices(self) -> list[str]:
        """Names of the tensors that it takes."""
        return [name for name in self.tensors.names if self.takes(name)]

    def factored(self) -> Kept:
        """The same basis with L and R kept in memory."""
        found = {}
        for name in self.matrices:
            found[name] = self.factors(name)
            give_back()
        return Kept(self, found)

    def materialise(self) -> Kept:
        """The same basis with W kept in memory, so that a slider move only uses it."""
        found = self.factored()
        found.multiply()
        return found


class Kept:
    """A basis whose W is kept on matrices; the other tensors' is computed at every pass.

    Args:
        source: the basis.
        factors: of every tensor that it takes.
    """

    def __init__(self, source: LowRank, factors: Mapping[str, Sequence[Factors]]) -> None:
        self.tensors = source.tensors
        self._others = source.others
        # one layout, whoever made them: another may be multiplied in another order
        self._factors = {
            name: [Factors(*(each.contiguous() for each in part)) for part in parts]
            for name, parts in factors.items()
        }
        self._products: dict[str, Sequence[Tensor | None]] = {}

    def multiply(self) -> None:
        """Keep the products in place of the factors, where there is room for all of them."""
        shapes = [self.tensors.merged_shape(name) for name in self._factors]
        elements = sum(shape.numel() for shape in shapes)
        if 4 * elements * len(self.tensors.experts) > PRODUCTS:
            return
        for name in list(self._factors):
            self._products[name] = [_product(each) for each in self._factors.pop(name)]
            give_back()
            self.tensors.tick()

    def stored(self) -> dict[str, Pieces]:
        """The factors, which are not multiplied yet, as tensors that a file can hold: `left` and
        `right` of each expert by the tensor's place among those that it takes."""
        return {
            f"{place}.{expert}.{side}": tensor
            for place, parts in enumerate(self._factors.values())
            for expert, part in enumerate(parts)
            for side, tensor in zip(Factors._fields, part, strict=True)
        }

    @classmethod
    def restored(cls, source: LowRank, found: Mapping[str, Tensor]) -> Kept:
        """What `stored` gave for the same family and method.

        Raises:
            KeyError, ValueError: it is another family's.
        """
        tensors, factors = source.tensors, {}
        for place, name in enumerate(source.matrices):
            parts = []
            for expert in range(len(tensors.experts)):
                left, right = (
                    found[f"{place}.{expert}.{side}"].to(tensors.device, copy=True)
                    for side in Factors._fields
                )
                if (len(left), right.shape[1]) != tuple(tensors.merged_shape(name)):
                    raise ValueError(f"W of {name} is {len(left)} x {right.shape[1]}")
                parts.append(Factors(left, right))
            factors[name] = parts
            tensors.tick()
        return cls(source, factors)

    @property
    def bytes(self) -> int:
        """Memory that W takes."""
        factors = [each for parts in self._factors.values() for part in parts for each in part]
        products = [each for parts in self._products.values() for each in parts if each is not None]
        return sum(4 * each.numel() for each in (*factors, *products))

    def sums(self, name: str, coefficients: Mapping[str, float]) -> Iterable[Sum] | None:
        """What makes θ(c)[name]; None where products are not kept."""
        if name in self._factors:
            return None
        if name in self._products:
            return self._summed(name, coefficients)
        return sums_of(self._others, name, coefficients)

    def _summed(self, name: str, coefficients: Mapping[str, float]) -> Iterator[Sum]:
        terms = [(self.tensors.stored("base", name), 1.0)]
        for expert, product in zip(self.tensors.experts, self._products[name], strict=True):
            if product is not None and coefficients[expert] != 0.0:
                terms.append(([product.view(-1)], coefficients[expert]))
        yield from joined(terms)
        yield from self.tensors.extra(name)

    def combine(self, name: str, coefficients: Mapping[str, float], out: Tensor) -> None:
        """Write θ(c)[name] from the kept W; bit-equal to `LowRank.combine`."""
        if name in self._factors:
            _write(self.tensors, name, self._factors[name], coefficients, out)
        else:
            sums = sums_of(self, name, coefficients)
            write(sums, out.view(-1), torch.float32, self.tensors.tick)


def _product(factors: Factors) -> Tensor | None:
    """W_i, float32 [rows, columns]; None where it is 0."""
    return factors.left @ factors.right if len(factors.right) else None


def _write(
    tensors: Tensors,
    name: str,
    parts: Sequence[Factors],
    coefficients: Mapping[str, float],
    out: Tensor,
) -> None:
    merged = out[: tensors.merged_shape(name)[0]]
    merged.copy_(tensors.read("base", name))
    for expert, factors in zip(tensors.experts, parts, strict=False):
        if coefficients[expert] != 0.0 and (product := _product(factors)) is not None:
            accumulate(merged, product, coefficients[expert])
            tensors.tick()
    write(tensors.extra(name), out.view(-1), torch.float32, tensors.tick)
