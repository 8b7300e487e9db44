"""How many points a design has, shown while the form is filled in; nothing is measured.

sobol   as many as are asked for
grid    levels^k, levels = floor(N^(1/k)), k coefficients: of 25 asked for, 8 over 3
        coefficients and 1 over 5; on a simplex the finest lattice of at most N mixtures
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.bands import GROUPS
from engine.counted import counted
from engine.method import Method
from engine.search.designs import design, levels
from engine.study import Study


@dataclass(frozen=True)
class Size:
    """The size of one method's design.

    Attributes:
        asked: points asked for.
        points: that the design has.
        coefficients: sliders that it goes over.
        levels: values of each of them; 0 if there are none: sobol, or a lattice of mixtures.
        lattice: whether the points are a lattice of mixtures.
        bands: bands of layers, each a lattice of its own.
        same: what to ask for so that this very design comes, and no more is promised.
    """

    method: str
    asked: int
    points: int
    coefficients: int
    levels: int = 0
    lattice: bool = False
    same: int = 0
    bands: int = 1


def size_of(study: Study, method: Method, points: int, strategy: str, groups: int = 1) -> Size:
    """The size of a method's design over the slider ranges of a study.

    Args:
        groups: bands of layers with coefficients of their own.
    """
    bands = {GROUPS.name: groups} if groups > 1 else {}
    names = method.coefficient_names(study.family.names, bands)
    count = len(names)
    mixtures = method.simplex and method.name not in study.ranges
    if strategy != "grid":
        ranges = [study.slider_range(method, name) for name in names]
        fixed = count == groups if mixtures else all(low == high for low, high in ranges)
        return Size(method.name, points, 1 if fixed else points, count, same=points)
    real = len(design(study, method.name, points, "grid", 0, bands))
    if mixtures:
        return Size(method.name, points, real, count, lattice=True, same=real, bands=groups)
    steps = levels(points, count)
    return Size(method.name, points, real, count, steps, same=steps**count)


def size_words(size: Size) -> str:
    """Beside the method's name: "8 points, 2 levels each over 3 coefficients"."""
    words = counted(size.points, "point")
    if size.lattice:
        words += ", a lattice of mixtures"
    elif size.levels:
        words += f", {counted(size.levels, 'level')} each"
    return f"{words} over {counted(size.coefficients, 'coefficient')}"


def shortfalls(sizes: Sequence[Size]) -> list[str]:
    """Under the number asked for: a line for each method whose design has fewer points, with how
    many the next finer grid takes."""
    found = []
    for size in sizes:
        if size.points >= size.asked:
            continue
        text = f"{size.method}: {counted(size.points, 'point')}, not {size.asked}"
        if size.levels:
            text += (
                f": {counted(size.levels, 'level')} for each of"
                f" {counted(size.coefficients, 'coefficient')}"
            )
        finer = _finer(size)
        found.append(
            f"{text}." + (f" The next finer one has {counted(finer, 'point')}." if finer else "")
        )
    return found


def _finer(size: Size) -> int:
    """Points of the grid with one more level, or of the next finer lattice; 0 if none is."""
    if size.levels:
        return int((size.levels + 1) ** size.coefficients)
    models = size.coefficients // size.bands
    if not size.lattice or models == 1:
        return 0
    steps = 1
    while math.comb(steps + models - 1, models - 1) ** size.bands <= size.points:
        steps += 1
    return math.comb(steps + models - 1, models - 1) ** size.bands
