"""A mixture along one of its sliders: for each model a weight that is affine in the slider's value.

    l(x) · scale(x) = Σ_m (offset_m + x · slope_m) l_m,      scale(x) = s0 + x · s1 > 0

The weights come from the method's own `build` at both ends of the range, and a third value in
between tells whether they are affine; so nothing here knows a method by name. Where only the
proportions of the coefficients count, weights are c ÷ Σ c, and the scale is |Σ c|: positive, so
that no argmax changes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from engine.decoding.fusion import FILTERING, Mixture
from engine.errors import BadInput, bad, unknown
from engine.method import Method, Names
from engine.recipe import Recipe, find_method, resolve

AFFINE = FILTERING | {"linear"}
"""Kinds whose logits are affine in the weights; what the first model rules out, it does alone."""

ROUNDING = 1e-9
"""Share of the largest weight within which weights in float64 are equal."""

TURN = (math.sqrt(5.0) - 1.0) / 2.0
"""Its multiples, modulo 1, come near no simple fraction, where a weight might be 0."""


@dataclass(frozen=True)
class Line:
    """A recipe along one slider.

    Attributes:
        value: of the slider, within the range, where every model of it takes part.
        recipe: resolved, at that value.
        mixture: that recipe's.
        offset, slope: of each of its models.
        scale: s0 and s1; 1 and 0 but for proportions.
    """

    value: float
    recipe: Recipe
    mixture: Mixture
    offset: tuple[float, ...]
    slope: tuple[float, ...]
    scale: tuple[float, float] = (1.0, 0.0)


def line_of(recipe: Recipe, slider: str, names: Names, low: float, high: float) -> Line:
    """A resolved recipe's line from `low` to `high` of a slider.

    Raises:
        BadInput: the slider is not one of the recipe's; the range is empty; the method cannot take
            a value of it; or its logits are not affine in the slider.
    """
    method = find_method(recipe.method)
    _check(method, recipe, slider, names, low, high)
    ends = (_at(recipe, slider, names, low), _at(recipe, slider, names, high))
    passes = {each for at in ends for each in at.weights}
    middle = ends[0]
    for turn in range(1, len(passes) + 3):  # each model's weight is 0 at one value at most
        middle = _at(recipe, slider, names, low + (high - low) * (turn * TURN % 1.0))
        if passes <= middle.weights.keys():
            break
    first, last = ends
    for at in (*ends, middle):
        if at.mixture.kind not in AFFINE:
            raise _curved(slider, recipe, f"it combines by {at.mixture.kind}")
        same = (at.mixture.kind, at.mixture.options) == (
            middle.mixture.kind,
            middle.mixture.options,
        )
        filters = at.mixture.kind in FILTERING
        if not same or (filters and at.mixture.passes[0] != middle.mixture.passes[0]):
            raise _curved(slider, recipe, "another rule holds at another value")
    width, slopes, offsets = high - low, [], []
    size = max(abs(each) for at in (*ends, middle) for each in at.weights.values())
    for each in middle.mixture.passes:
        one, two = first.weights.get(each, 0.0), last.weights.get(each, 0.0)
        slopes.append((two - one) / width)
        offsets.append(one - low * slopes[-1])
        if abs(offsets[-1] + middle.value * slopes[-1] - middle.weights[each]) > ROUNDING * size:
            raise _curved(slider, recipe, "its weights bend")
    if not passes <= middle.weights.keys():
        raise _curved(slider, recipe, "models come and go")
    tilt = (last.scale - first.scale) / width
    scale = (first.scale - low * tilt, tilt)
    return Line(middle.value, middle.recipe, middle.mixture, tuple(offsets), tuple(slopes), scale)


@dataclass(frozen=True)
class _At:
    """The mixture at one value, its weights times the scale by (model, what it reads instead)."""

    value: float
    recipe: Recipe
    mixture: Mixture
    scale: float
    weights: dict[tuple[str, str | None], float]


def _at(recipe: Recipe, slider: str, names: Names, value: float) -> _At:
    method = find_method(recipe.method)
    moved = replace(recipe, coefficients={**recipe.coefficients, slider: value})
    moved = resolve(moved, names, f"slider {slider} at {value:g}")
    mixture = method.build(moved.coefficients, names, **dict(moved.parameters))
    scale = abs(math.fsum(moved.coefficients.values())) if method.simplex else 1.0
    pairs = zip(mixture.passes, mixture.weights, strict=True)
    return _At(value, moved, mixture, scale, {each: weight * scale for each, weight in pairs})


def _check(
    method: Method, recipe: Recipe, slider: str, names: Names, low: float, high: float
) -> None:
    if method.space != "logit" or not method.takes_coefficients:
        what = (
            "is one model and has no sliders"
            if not method.takes_coefficients
            else "merges weights, of which logits are no affine function"
        )
        fix = "Use a method of logit space: proxy_tuning, say."
        raise bad("map", f"{method.name} {what}", fix)
    own = method.coefficient_names(names, recipe.parameters)
    if slider not in own:
        raise unknown("map", f"slider of {method.name}", slider, dict.fromkeys(own))
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise bad("map", f"the range {low:g} to {high:g} is empty", "Give a smaller number first.")
    if method.simplex:
        others = math.fsum(v for name, v in recipe.coefficients.items() if name != slider)
        if (others + low) * (others + high) <= 0.0:
            what = f"the coefficients' sum is 0 where {slider} is {-others:g}"
            fix = f"{method.name} divides by it: leave that value out of the range."
            raise bad("map", what, fix)


def _curved(slider: str, recipe: Recipe, why: str) -> BadInput:
    return bad(
        "map",
        f"the logits of {recipe.method} are not affine in {slider}: {why}",
        "Use a method that adds logits up, proxy_tuning say; or compare single values.",
    )
