"""Designs: recipes spread over a method's sliders before anything is measured.

grid    floor(N^(1/k)) levels a coefficient, ends included; on a simplex the finest lattice of at
        most N points, the equal mixture alone where N < k
sobol   scrambled Sobol points; on a simplex through the exponential map, which spreads them evenly

The same arguments give the same recipes in the same order, so that a sweep resumes where it
stopped.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.bands import bands_of, each_band
from engine.errors import bad
from engine.method import Method
from engine.recipe import Recipe, find_method, resolve
from engine.study import Study

DIGITS = 4
"""Decimals of a designed coefficient: what a slider and a user can repeat."""


def design(
    study: Study,
    method: str,
    points: int,
    strategy: str,
    seed: int = 0,
    parameters: Mapping[str, Any] | None = None,
) -> list[Recipe]:
    """Resolved recipes over the slider ranges of a study.

    Args:
        method: a registered method that has coefficients.
        points: how many at most; a grid has floor(points^(1/k))^k. Rounding and mixtures that the
            method refuses can make them fewer.
        strategy: "grid" or "sobol".
        seed: of the scrambling; a grid has none.
        parameters: structural ones of every recipe; a missing one has its default.

    Raises:
        BadInput: no points, a method or strategy that has no design, or a parameter that the
            method does not take.
    """
    spec = find_method(method, "--method")
    names = spec.coefficient_names(study.family.names, parameters)
    if not names:
        raise bad(
            "--method",
            f"{method} has no coefficients to sweep",
            "Its only points are the models themselves.",
        )
    if points < 1:
        raise bad("--points", f"expected 1 or more, got {points}")
    if strategy not in ("grid", "sobol"):
        raise bad("--strategy", f"there is no strategy named {strategy!r}", "Use grid or sobol.")
    if spec.simplex and method not in study.ranges:
        bands = bands_of(names)
        models = len(names) // bands
        rows = (
            _lattice(models, bands, points)
            if strategy == "grid"
            else _dirichlet(models, bands, points, seed)
        )
    else:
        rows = _box(study, spec, names, points, strategy, seed)
    found: dict[Recipe, None] = {}
    for row in rows:
        coefficients = {
            name: round(value, DIGITS) + 0.0 for name, value in zip(names, row, strict=True)
        }
        if spec.simplex and any(
            abs(math.fsum(band.values())) < 1e-12 for band in each_band(coefficients)
        ):
            continue  # the method divides by the sum
        recipe = Recipe(method, coefficients, parameters or {})
        found[resolve(recipe, study.family.names)] = None
    return list(found)


def levels(points: int, dimensions: int) -> int:
    """floor(points^(1/dimensions)), exact for integers."""
    count = max(1, round(points ** (1 / dimensions)))
    while count**dimensions > points:
        count -= 1
    while (count + 1) ** dimensions <= points:
        count += 1
    return count


def _box(
    study: Study, spec: Method, names: Sequence[str], points: int, strategy: str, seed: int
) -> Iterator[tuple[float, ...]]:
    ranges = [study.slider_range(spec, name) for name in names]
    if strategy == "sobol":
        for row in _sobol(len(names), points, seed):
            yield tuple(low + (high - low) * u for u, (low, high) in zip(row, ranges, strict=True))
        return
    count = levels(points, len(names))
    steps = [step / (count - 1) for step in range(count)] if count > 1 else [0.5]
    axes = [[low + (high - low) * step for step in steps] for low, high in ranges]
    yield from itertools.product(*axes)


def _lattice(models: int, bands: int, points: int) -> Iterator[tuple[float, ...]]:
    """Model by model, the bands of each side by side; every mixture of one band with every one of
    the others."""
    for mixtures in itertools.product(_mixtures(models, levels(points, bands)), repeat=bands):
        yield tuple(itertools.chain.from_iterable(zip(*mixtures, strict=True)))


def _mixtures(dimensions: int, points: int) -> Iterator[tuple[float, ...]]:
    if points < dimensions or dimensions == 1:
        yield (1 / dimensions,) * dimensions
        return
    steps = 1
    while math.comb(steps + dimensions, dimensions - 1) <= points:
        steps += 1
    for bars in itertools.combinations(range(steps + dimensions - 1), dimensions - 1):
        edges = (-1, *bars, steps + dimensions - 1)
        counts = [after - before - 1 for before, after in itertools.pairwise(edges)]
        yield tuple(count / steps for count in counts)


def _dirichlet(models: int, bands: int, points: int, seed: int) -> Iterator[tuple[float, ...]]:
    for row in _sobol(models * bands, points, seed):
        spread = [-math.log(max(u, 1e-9)) for u in row]
        totals = [math.fsum(spread[band::bands]) for band in range(bands)]
        yield tuple(value / totals[place % bands] for place, value in enumerate(spread))


def _sobol(dimensions: int, points: int, seed: int) -> Iterator[list[float]]:
    from torch.quasirandom import SobolEngine

    yield from SobolEngine(dimensions, scramble=True, seed=seed).draw(points).tolist()
