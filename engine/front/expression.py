"""Expressions over objectives: what a utility and a constraint are written in.

    facts - 0.5 * max(0, 0.3 - refusals)          `my objective` / 2, where a name is no identifier

Python's own grammar reads them, and nothing of Python runs: a tree may hold numbers, names of
objectives, + - * / **, and the functions of `FUNCTIONS`. Values come with exact derivatives
(forward mode), since an optimiser needs them.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from engine.errors import BadInput, bad, unknown
from engine.front.derivatives import Slope, called, combined
from engine.front.pareto import Floats

LONGEST = 1000
"""Letters of an expression, at most."""

FUNCTIONS = ("min", "max", "abs", "log", "exp", "sqrt")

FIX = f"Use names of objectives, numbers, + - * / ** and {', '.join(FUNCTIONS)}."

_SIGNS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}


@dataclass(frozen=True)
class Expression:
    """An expression over objectives, read and checked.

    Attributes:
        text: as it was written.
        names: the objectives it names, in the order of the study.
    """

    text: str
    names: tuple[str, ...]
    _tree: ast.expr = field(compare=False, repr=False)
    _quoted: Mapping[str, str] = field(compare=False, repr=False)

    def at(self, names: Sequence[str], values: ArrayLike) -> Floats:
        """float64 [n]: its value at points [n, m] over the objectives `names`.

        NaN where it has none: a score is missing, a logarithm of 0, a division by 0, an overflow.
        """
        return self.slopes(names, values)[0]

    def bounded(self, names: Sequence[str], values: ArrayLike) -> Floats:
        """float64 [n]: as `at`, to be compared: a point where it overflows may be the best, and
        must not drop out as one without a value.

        Raises:
            BadInput: it overflows at a point.
        """
        points = np.asarray(values, dtype=np.float64).reshape(-1, len(names))
        try:
            with np.errstate(all="ignore", over="raise"):
                self._slope(self._tree, names, points)
        except FloatingPointError:
            what = f"{self.text!r} comes to a number that is too large at a point"
            raise bad("utility", what, "Write it with smaller numbers.") from None
        return self.at(names, points)

    def slopes(self, names: Sequence[str], values: ArrayLike) -> Slope:
        """Its value [n] and its derivatives [n, m] at points [n, m]; where min, max or abs bend,
        those of the first branch; NaN as in `at`."""
        points = np.asarray(values, dtype=np.float64).reshape(-1, len(names))
        with np.errstate(all="ignore"):
            found, slope = self._slope(self._tree, names, points)
        lost = ~np.isfinite(found)
        return np.where(lost, np.nan, found), np.where(lost[:, None], np.nan, slope)

    def linear(self, where: str) -> tuple[dict[str, float], float]:
        """Coefficient of each objective, and the constant; raises `BadInput` where it is not
        linear."""
        coefficients, constant = self._linear(self._tree, where)
        return {name: value for name, value in coefficients.items() if value}, constant

    def _name(self, node: ast.Name) -> str:
        return self._quoted.get(node.id, node.id)

    def _slope(self, node: ast.expr, names: Sequence[str], points: Floats) -> Slope:
        none = np.zeros(points.shape)
        if isinstance(node, ast.Constant):
            return np.full(len(points), _number(node)), none
        if isinstance(node, ast.Name):
            column = names.index(self._name(node))
            none[:, column] = 1.0
            return points[:, column], none
        if isinstance(node, ast.UnaryOp):
            value, slope = self._slope(node.operand, names, points)
            return (-value, -slope) if isinstance(node.op, ast.USub) else (value, slope)
        if isinstance(node, ast.Call):
            return called(_function(node), [self._slope(each, names, points) for each in node.args])
        assert isinstance(node, ast.BinOp)
        left, right = (self._slope(each, names, points) for each in (node.left, node.right))
        return combined(node.op, left, right, constant=not _names_in(node.right))

    def _linear(self, node: ast.expr, where: str) -> tuple[dict[str, float], float]:
        if not _names_in(node):
            value = float(self.at_constant(node))
            if not math.isfinite(value):
                raise bad(where, f"{ast.unparse(node)} is not a finite number", FIX)
            return {}, value
        if isinstance(node, ast.Name):
            return {self._name(node): 1.0}, 0.0
        if isinstance(node, ast.UnaryOp):
            return _scaled(
                self._linear(node.operand, where), -1.0 if _is(node.op, ast.USub) else 1.0
            )
        if isinstance(node, ast.BinOp):
            if isinstance(node.op, ast.Add | ast.Sub):
                left = self._linear(node.left, where)
                right = _scaled(
                    self._linear(node.right, where), 1.0 if _is(node.op, ast.Add) else -1.0
                )
                found = dict(left[0])
                for name, value in right[0].items():
                    found[name] = found.get(name, 0.0) + value
                return found, left[1] + right[1]
            if isinstance(node.op, ast.Mult) and not _names_in(node.left):
                return _scaled(self._linear(node.right, where), self._linear(node.left, where)[1])
            if isinstance(node.op, ast.Mult) and not _names_in(node.right):
                return _scaled(self._linear(node.left, where), self._linear(node.right, where)[1])
            if isinstance(node.op, ast.Div) and not _names_in(node.right):
                by = self._linear(node.right, where)[1]
                if by:
                    return _scaled(self._linear(node.left, where), 1.0 / by)
        raise bad(
            where,
            f"{self.text!r} is not linear in the objectives",
            "Write sums of objectives times numbers, as 2*facts - refusals >= 0.5.",
        )

    def at_constant(self, node: ast.expr) -> float:
        """The value of a part that names no objective."""
        with np.errstate(all="ignore"):
            return float(self._slope(node, (), np.zeros((1, 0)))[0][0])


def _is(node: ast.AST, kind: type[ast.AST]) -> bool:
    return isinstance(node, kind)


def _scaled(form: tuple[dict[str, float], float], by: float) -> tuple[dict[str, float], float]:
    return {name: by * value for name, value in form[0].items()}, by * form[1]


def _names_in(node: ast.expr) -> list[ast.Name]:
    """The objectives below a node; a function's name is none."""
    called = {id(each.func) for each in ast.walk(node) if isinstance(each, ast.Call)}
    return [n for n in ast.walk(node) if isinstance(n, ast.Name) and id(n) not in called]


def _number(node: ast.Constant) -> float:
    assert isinstance(node.value, int | float)
    return float(node.value)


def _function(node: ast.Call) -> str:
    assert isinstance(node.func, ast.Name)
    return node.func.id


def parse(text: str, where: str) -> tuple[ast.expr, dict[str, str]]:
    """The tree of a text, unchecked, and what its placeholders for quoted names stand for.

    Raises:
        BadInput: it is not in Python's grammar.
    """
    if not isinstance(text, str) or not text.strip():
        raise bad(where, f"{text!r} is no expression", FIX)
    if len(text) > LONGEST:
        raise bad(where, f"longer than {LONGEST} characters", "Write a shorter one.")
    quoted: dict[str, str] = {}

    def placed(found: re.Match[str]) -> str:
        key = f"__quoted{len(quoted)}__"
        quoted[key] = found[1]
        return f" {key} "

    bare = re.sub(r"`([^`]*)`", placed, text).strip()
    try:
        return ast.parse(bare, mode="eval").body, quoted
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        why = error.msg if isinstance(error, SyntaxError) else "it is nested too deeply"
        raise bad(where, f"{text!r} cannot be read: {why}", FIX) from None


def expression(
    text: str,
    known: Sequence[str],
    where: str,
    tree: ast.expr | None = None,
    quoted: Mapping[str, str] | None = None,
) -> Expression:
    """An expression over the objectives `known`.

    Args:
        where: what it is, for an error.
        tree, quoted: of `parse`, where the text is already read.

    Raises:
        BadInput: by name, whatever is no number, objective, sign or function that there is.
    """
    if tree is None:
        tree, quoted = parse(text, where)
    quoted = dict(quoted or {})
    try:
        named = {quoted.get(each, each) for each in _checked(tree, where)}
    except RecursionError:
        raise bad(where, f"{text[:40]!r}… is nested too deeply", FIX) from None
    for name in sorted(named):
        if name not in known:
            raise _unknown(where, name, known)
    return Expression(text.strip(), tuple(each for each in known if each in named), tree, quoted)


def _unknown(where: str, name: str, known: Sequence[str]) -> BadInput:
    odd = [each for each in known if not each.isidentifier()]
    if any(name in each for each in odd):
        what = f"no objective is named {name}"
        return bad(where, what, f"Quote a name that is not one word: `{odd[0]}`.")
    return unknown(where, "objective", name, known)


def _checked(node: ast.expr, where: str) -> set[str]:
    """The names in a tree of nothing but what an expression may hold."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise bad(where, f"{node.value!r} is not a number", FIX)
        try:
            finite = math.isfinite(float(node.value))
        except OverflowError:
            finite = False
        if not finite:
            raise bad(where, "a number is too large", FIX)
        return set()
    if isinstance(node, ast.Name):
        return {node.id}
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd | ast.USub):
        return _checked(node.operand, where)
    if isinstance(node, ast.BinOp) and type(node.op) in _SIGNS:
        return _checked(node.left, where) | _checked(node.right, where)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        name = node.func.id
        if name not in FUNCTIONS:
            raise unknown(where, "function", name, FUNCTIONS)
        count = len(node.args)
        if node.keywords or (count < 2 if name in ("min", "max") else count != 1):
            need = "two or more values" if name in ("min", "max") else "one value"
            raise bad(where, f"{name} takes {need}", FIX)
        return set().union(*(_checked(each, where) for each in node.args))
    raise bad(where, f"{_shown(node)} is not allowed", FIX)


def _shown(node: ast.expr) -> str:
    """A part in words, short."""
    text = ast.unparse(node)
    return repr(text if len(text) <= 40 else text[:40] + "…")
