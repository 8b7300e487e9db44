"""What a user asks of a point beside weights and bounds: constraints, accepted trades, a utility.

constraints   2*facts - refusals >= 0.5            linear, over several objectives
cone          1 facts for 0.4 refusals             relative preference (engine.front.cone)
utility       facts - max(0, 0.3 - refusals)       maximised instead of weights
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from numpy.typing import ArrayLike

from engine.errors import bad
from engine.front.bounds import Side, Unmet
from engine.front.cone import Trade, rows_of, trade
from engine.front.expression import Expression, expression, parse
from engine.front.pareto import Floats

LARGEST = 1e100
"""Magnitude of a constraint's numbers, at most, so that its sums stay finite; the inverse is the
least of a factor."""

CONSTRAINT_FIX = "Write it as 2*facts - refusals >= 0.5, with >= or <=."


@dataclass(frozen=True)
class Constraint:
    """Σ coefficient · objective, at least or at most a number, in the objectives' own units.

    Attributes:
        coefficients: (objective, coefficient ≠ 0), in the order of the study.
    """

    coefficients: tuple[tuple[str, float], ...]
    side: Side

    @property
    def left(self) -> str:
        """The sum in words: `2*facts - refusals`."""
        return reduce(_joined, self.coefficients, "")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.coefficients)

    def __str__(self) -> str:
        return f"{self.left} {'>=' if self.side.words == 'at least' else '<='} {self.side.value:g}"

    def at(self, names: Sequence[str], values: ArrayLike) -> Floats:
        """float64 [n]: the sum at points [n, m]; NaN where a score is missing."""
        points = np.asarray(values, dtype=np.float64).reshape(-1, len(names))
        found = np.zeros(len(points))
        for name, coefficient in self.coefficients:
            found += coefficient * points[:, names.index(name)]
        return found

    def violation(
        self, names: Sequence[str], values: ArrayLike, spreads: Mapping[str, float]
    ) -> Floats:
        """float64 [n]: how far each point is from meeting it, in units of the sum's spread; 0 where
        it is met, infinite where a score is missing.

        Args:
            spreads: of each objective, above 0.
        """
        spread = math.fsum(abs(each) * spreads[name] for name, each in self.coefficients)
        found = self.side.violation(self.at(names, values)) / spread
        return np.where(np.isnan(found), np.inf, found)

    def missed(self, names: Sequence[str], values: ArrayLike) -> Unmet | None:
        """What one point [m] misses; None where it meets it."""
        value = float(self.at(names, values)[0])
        if math.isnan(value) or self.side.met(np.array(value)):
            return None
        return Unmet(self.left, self.side.value, value)


def _joined(text: str, part: tuple[str, float]) -> str:
    """A sum in words with one more part."""
    name, value = part
    shown = name if name.isidentifier() else f"`{name}`"
    amount = shown if abs(value) == 1 else f"{abs(value):g}*{shown}"
    if not text:
        return amount if value > 0 else f"-{amount}"
    return f"{text} {'+' if value > 0 else '-'} {amount}"


def constraint(text: str, known: Sequence[str], where: str) -> Constraint:
    """The constraint that a text says; raises `BadInput` where it says none."""
    tree, quoted = parse(text, where)
    if not isinstance(tree, ast.Compare) or len(tree.ops) != 1:
        raise bad(where, f"{text!r} is not one comparison", CONSTRAINT_FIX)
    if not isinstance(tree.ops[0], ast.GtE | ast.LtE):
        raise bad(where, f"{text!r} compares with neither >= nor <=", CONSTRAINT_FIX)
    whole = ast.BinOp(tree.left, ast.Sub(), tree.comparators[0])
    coefficients, constant = expression(text, known, where, whole, quoted).linear(where)
    if not coefficients:
        raise bad(where, f"{text!r} depends on no objective", CONSTRAINT_FIX)
    if not all(abs(each) < LARGEST for each in (*coefficients.values(), constant)):
        raise bad(where, f"a number in {text!r} is too large", CONSTRAINT_FIX)
    if not all(abs(each) > 1.0 / LARGEST for each in coefficients.values()):
        raise bad(where, f"a factor in {text!r} is too small", CONSTRAINT_FIX)
    words = "at least" if isinstance(tree.ops[0], ast.GtE) else "at most"
    ordered = tuple((name, coefficients[name]) for name in known if name in coefficients)
    return Constraint(ordered, Side(words, -constant + 0.0))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Criteria:
    """What is asked of a point beside weights and bounds; nothing by default."""

    constraints: tuple[Constraint, ...] = ()
    trades: tuple[Trade, ...] = ()
    utility: Expression | None = None

    def __bool__(self) -> bool:
        return bool(self.constraints or self.trades or self.utility)

    def joined(self, other: Criteria) -> Criteria:
        """With another's constraints and trades too, and its utility where it has one."""
        return Criteria(
            tuple(dict.fromkeys((*self.constraints, *other.constraints))),
            tuple(dict.fromkeys((*self.trades, *other.trades))),
            other.utility or self.utility,
        )

    def without_utility(self) -> Criteria:
        return replace(self, utility=None)

    def violation(
        self, names: Sequence[str], values: ArrayLike, spreads: Mapping[str, float]
    ) -> Floats:
        """float64 [n]: violations of the constraints, added up."""
        found = np.zeros(np.asarray(values).reshape(-1, len(names)).shape[0])
        for each in self.constraints:
            found += each.violation(names, values, spreads)
        return found

    def unmet(self, names: Sequence[str], values: ArrayLike) -> tuple[Unmet, ...]:
        """The constraints that one point [m] does not meet."""
        found = [each.missed(names, values) for each in self.constraints]
        return tuple(each for each in found if each is not None)


NONE = Criteria()


def criteria(
    known: Sequence[str],
    constraints: Sequence[str] = (),
    cone: Sequence[str] = (),
    utility: str | None = None,
    where: Mapping[str, str] | None = None,
) -> Criteria:
    """Criteria over the objectives `known`, from their texts.

    Args:
        where: constraint, cone, utility -> how an error names it; by default as options.

    Raises:
        BadInput: a text cannot be read, an objective that there is not, trades that contradict.
    """
    place = {"constraint": "--constraint", "cone": "--cone", "utility": "--utility"}
    place |= dict(where or {})
    trades = tuple(trade(each, known, place["cone"]) for each in cone)
    rows_of(known, trades, place["cone"])
    return Criteria(
        tuple(constraint(each, known, place["constraint"]) for each in constraints),
        trades,
        None if utility is None else expression(utility, known, place["utility"]),
    )
