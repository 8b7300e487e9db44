"""A sweep that searches: its next batch is asked for when the last one is measured.

    what is measured ──► job "suggest" ──► recipes ──► job "sweep" ──► what is measured …

The batches are kept like any sweep's recipes, so that a stopped search measures what it had asked
for and goes on; what other sweeps and people measured meanwhile counts. It ends when its points are
spent, when nothing is expected any more, or, if it is asked to, when the front stands still.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, cast

import numpy as np

from engine.errors import bad, unknown
from engine.front.pareto import MARGIN
from engine.front.preference import Range, frozen_ranges, ranges_of, scale_weights
from engine.method import METHODS, Names
from engine.recipe import Recipe, find_method, recipe_from_dict, resolve
from engine.scoring.registry import find_scorer
from engine.search.strategies import GET_GP, is_search
from engine.search.suggest import STILL
from engine.study import Objective
from studio.combining import refresh
from studio.points.predicting import on_surface, sums_of
from studio.points.view import Measured, PointLike, measure
from studio.workbench import Workbench

BATCH = 4
TOGETHER = 32
"""Points a batch, and that of logit methods on given texts: there the models run once for all."""

CALM = 2
"""Batches in a row that are expected to add nothing worth it before the front stands still."""


@dataclass(frozen=True)
class Options:
    """What a search is asked for beside its designs.

    Attributes:
        surrogate: what suggest predicts with.
        still: whether it ends once the front stands still.
        weights: objective -> weight, for cmaes; equal where empty.
        at_least, at_most: bounds on objectives; what does not meet them is worth nothing.
    """

    surrogate: str = "quadratic"
    still: bool = False
    weights: tuple[tuple[str, float], ...] = ()
    at_least: tuple[tuple[str, float], ...] = ()
    at_most: tuple[tuple[str, float], ...] = ()

    def document(self) -> dict[str, Any]:
        """For the journal."""
        pairs = {name: dict(getattr(self, name)) for name in ("weights", "at_least", "at_most")}
        return {"surrogate": self.surrogate, "still": self.still, **pairs}


def state_of(options: Options) -> dict[str, Any]:
    """A new search: what it is asked for, and how it stands: why it ended, the gain expected of the
    latest batch, the noise, and batches in a row that were not worth it."""
    return {
        "options": options.document(),
        "why": "",
        "asked": 0,
        "gain": None,
        "noise": None,
        "calm": 0,
    }


def check(
    objectives: Sequence[Objective],
    names: Names,
    designs: Sequence[Mapping[str, Any]],
    options: Options,
) -> None:
    """Refuse what a search cannot use, before anything is measured.

    Raises:
        BadInput: an objective that there is not, a bound on the better side, a method with too few
            coefficients for cmaes, a surrogate that is not installed.
    """
    up = {each.name: each.direction == "maximize" for each in objectives}
    for flag, pairs in (("at-least", options.at_least), ("at-most", options.at_most)):
        for name, _ in pairs:
            if name not in up:
                raise unknown(f"--{flag}", "objective", name, up)
            if up[name] != (flag == "at-least"):
                what = f"{name} is {'maximised' if up[name] else 'minimised'}"
                raise bad(f"--{flag}", what, "A search takes bounds on the worse side only.")
    if options.weights:
        scale_weights(list(up), dict(options.weights))
    for each in designs:
        count = len(find_method(str(each["method"]), "--method").coefficient_names(
            names, each.get("parameters") or {}))  # fmt: skip
        if not count:
            raise bad("--method", f"{each['method']} has no coefficients to sweep")
        if each["strategy"] == "cmaes" and count < 2:
            what = f"{each['method']} has one coefficient, and cmaes needs two or more"
            raise bad("--strategy", what, "Use suggest or grid.")
    if options.surrogate == "gp" and not installed():
        raise bad("--surrogate", "BoTorch is not installed", GET_GP)


def installed() -> bool:
    """Whether the extra for `gp` is there; nothing is imported."""
    return find_spec("botorch") is not None


def searches(designs: Iterable[Mapping[str, Any]]) -> bool:
    """Whether designs are those of a search."""
    return any(is_search(str(each["strategy"])) for each in designs)


def budget(designs: Sequence[Mapping[str, Any]]) -> int:
    """Points of a search: those of all its methods together."""
    return sum(int(each["points"]) for each in designs)


def same_search(designs: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> bool:
    """Whether two searches differ in their number of points at most."""

    def key(each: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in each.items() if name != "points"}

    return list(map(key, designs)) == list(map(key, other))


def payload_of(
    bench: Workbench,
    designs: Sequence[Mapping[str, Any]],
    objectives: Sequence[str],
    search: Mapping[str, Any],
    asked: Sequence[Recipe],
    left: int,
) -> dict[str, Any]:
    """What the job "suggest" takes, from all points there are now.

    Args:
        asked: recipes of the search so far, in order.
        left: how many more it may ask for.
    """
    known = bench.opened
    assert known is not None
    refresh(bench)
    prints = {name: known.objectives[name] for name in objectives}
    points = bench.store.points(known.family, prints, "explore", known.numerics)
    points.sort(key=lambda each: each.id)
    seconds = {each.id: each.seconds for each in points if each.seconds}
    measured = measure(cast(list[PointLike], points), objectives)
    arms, taken = [], np.zeros(len(measured), dtype=bool)
    usual = float(np.median(list(seconds.values()))) if seconds else 1.0
    for design in designs:
        template = _template(bench, design)
        rows, places = on_surface(measured, template, bench.names)
        own = [row for row in rows.tolist() if not measured.singles[row]]
        taken[rows] = True
        times = [seconds[measured.ids[row]] for row in own if measured.ids[row] in seconds]
        mine = [each for each in asked if _of(each, template)]
        where = [measured.row_of.get(bench.point_id(each)) for each in mine]
        arms.append(
            {
                "method": template.method,
                "parameters": dict(design.get("parameters") or {}),
                "sums": sums_of(template),
                "seconds": float(np.median(times)) if times else usual,
                "own": len(own),
                "rows": rows.tolist(),
                "places": places.tolist(),
                "asked": [
                    [list(each.coefficients.values()), row]
                    for each, row in zip(mine, where, strict=True)
                ],
            }
        )
    options = search["options"]
    return {
        "objectives": list(objectives),
        "strategy": designs[0]["strategy"],
        "seed": int(designs[0].get("seed") or 0),
        "left": left,
        "count": min(left, _batch(bench, designs, objectives)),
        "surrogate": options["surrogate"],
        "weights": options["weights"],
        "scores": {
            "mean": _rows(measured.mean),
            "stderr": _rows(measured.stderr),
            "n": _rows(measured.n),
        },
        "others": np.flatnonzero(~taken).tolist(),
        "ranges": _ranges(bench, measured, objectives, options),
        "arms": arms,
    }


def take(search: dict[str, Any], result: Mapping[str, Any], left: int) -> tuple[Recipe, ...]:
    """The recipes of a batch, as many as are left; none where the search is over, and then `why`.

    Args:
        search: as `state_of` makes it; changed.
    """
    gain, noise = result["gain"], result["noise"]
    search.update(gain=gain, noise=noise)
    if not result["recipes"]:
        search["why"] = result["why"]
        return ()
    calm = gain is not None and (gain < STILL or gain < noise)
    search["calm"] = search["calm"] + 1 if calm else 0
    if search["options"]["still"] and search["calm"] >= CALM:
        search["why"] = still_words(gain, noise)
        return ()
    return tuple(recipe_from_dict(each) for each in result["recipes"])[:left]


def still_words(gain: float, noise: float) -> str:
    """Why the front stands still."""
    text = f"the next batch is expected to add {100 * gain:.1f} % of hypervolume"
    if gain < STILL:
        return f"the front stands still: {text}, less than {100 * STILL:g} %"
    return f"the front stands still: {text}, within the noise of {100 * noise:.1f} %"


def _template(bench: Workbench, design: Mapping[str, Any]) -> Recipe:
    """A recipe of a design's method and parameters, in which every coefficient counts."""
    spec = find_method(str(design["method"]), "--method")
    parameters = dict(design.get("parameters") or {})
    names = spec.coefficient_names(bench.study.family.names, parameters)
    return resolve(Recipe(spec.name, dict.fromkeys(names, 0.5), parameters), bench.names)


def _of(recipe: Recipe, template: Recipe) -> bool:
    return (recipe.method, recipe.parameters) == (template.method, template.parameters)


def _batch(
    bench: Workbench, designs: Sequence[Mapping[str, Any]], objectives: Sequence[str]
) -> int:
    chosen = [each for each in bench.objectives if each.name in objectives]
    given = all(find_scorer(each.scorer).given for each in chosen)
    logit = all(METHODS[str(each["method"])].space == "logit" for each in designs)
    return TOGETHER if given and logit else BATCH


def _rows(values: np.ndarray) -> list[list[float | None]]:
    return [[float(each) if np.isfinite(each) else None for each in row] for row in values]


def _ranges(
    bench: Workbench,
    measured: Measured,
    objectives: Sequence[str],
    options: Mapping[str, Any],
) -> dict[str, list[float] | None]:
    """Objective -> [ideal, nadir, reference]: of the unmerged models once all are scored, else of
    what there is; null where nothing is.

    A counted objective, as the parameters that run, is worst where any point is; a bound is a
    reference where it is stricter.
    """
    by_name = {each.name: each for each in bench.objectives}
    maximize = [by_name[name].direction == "maximize" for name in objectives]
    alone = measured.mean[measured.singles]
    ranges = frozen_ranges(objectives, alone, maximize, len(bench.names.models))
    whole = measured.mean[np.isfinite(measured.mean).all(axis=1)]
    if ranges is None and len(whole):
        ranges = ranges_of(objectives, whole, maximize)
    if ranges is None:
        return dict.fromkeys(objectives)
    found: dict[str, list[float] | None] = {}
    for column, (name, up) in enumerate(zip(objectives, maximize, strict=True)):
        each = ranges[name]
        if find_scorer(by_name[name].scorer).exact and len(whole):
            every = ranges_of([name], whole[:, [column]], [up])[name]
            worse = min if up else max
            each = Range(each.ideal, worse(each.nadir, every.nadir))
        reference = each.reference
        if reference == each.nadir:  # no range: the objective is a factor of all volumes
            size = MARGIN * max(1.0, abs(each.nadir))
            reference = each.nadir - size if up else each.nadir + size
        bound = options["at_least" if up else "at_most"].get(name)
        if bound is not None:
            reference = max(reference, bound) if up else min(reference, bound)
        found[name] = [each.ideal, each.nadir, reference]
    return found
