"""The chart panel of Explore: view, axes, what is drawn and which choices are kept.

    Trade-off   two or three objectives: measured points, front, unmerged models
    Curve       one objective along one coefficient, predicted with its band, measured points on it
    Surface     one objective over two coefficients, predicted, measured points on it
    Parallel    all objectives at once, one line a point

A study with one objective has no trade-off: its first view is the curve.

What was chosen is kept from page to page in one dictionary of the session, and in the address.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from engine.front.bounds import Bounds
from engine.front.criteria import Criteria
from engine.front.decide import knees
from engine.recipe import find_method
from engine.search.surrogate import TooFew
from pages.panels.explore import bounding, curving, parallel_axes, showing
from studio.charts import surface, wishes
from studio.charts import tradeoff as figures
from studio.charts.certainty import with_certainty
from studio.charts.external import with_external
from studio.charts.parallel import coefficients_of, parallel
from studio.decide import bounds as limiting
from studio.decide.front import frozen
from studio.decide.noise import noise
from studio.glossary import WORDS
from studio.points import filling, predicting
from studio.points.places import shape_of
from studio.points.view import Axis, Measured
from studio.references import beside
from studio.shared import once
from studio.workbench import Workbench
from ui import components
from ui import recipe as controls
from ui.choices import NONE, choose, chosen_axes, exchange, kept, remember, view_key, visible

VIEWS = ("Trade-off", "Curve", "Surface", "Parallel")
FORMS = {"map": "heat map", "3d": "3-D"}


def choose_view(axes: Sequence[Axis]) -> str:
    """Which of the views."""
    views = VIEWS if len(axes) > 1 else VIEWS[1:]
    before = kept().get("views", views)
    if kept().get("kind") not in views:
        kept()["kind"] = _asked_view(axes, views)
    elif before != views and kept()["kind"] == before[0]:
        kept()["kind"] = views[0]  # the study has more than one objective now
    kind = st.segmented_control(
        "View", views, default=controls.anchored(view_key("kind"), kept()["kind"]), required=True,
        key=view_key("kind"), label_visibility="collapsed",
    )  # fmt: skip
    kept()["kind"], kept()["views"] = kind, views
    remember(view=kind.lower() if kind != views[0] else None)
    return str(kind)


def _asked_view(axes: Sequence[Axis], views: Sequence[str]) -> str:
    """The view that the address names. One objective on both axes is that objective's curve."""
    asked = st.session_state.get("addressed", {})
    both = asked.get("x")
    if "view" not in asked and both == asked.get("y") and both in {axis.name for axis in axes}:
        kept()["objective"] = both
        return "Curve"
    view = str(asked.get("view", "")).capitalize()
    return view if view in views else views[0]


def choose_axes(measured: Measured, axes: Sequence[Axis]) -> tuple[list[Axis], str]:
    """Selectboxes of two or three objectives, and of what colours the marks."""
    labels = {axis.name: axis.label for axis in axes} | {NONE: "none"}
    first, second, third, fourth = st.columns(4)
    names = [axis.name for axis in axes]
    shown = [each.name for each in chosen_axes(axes)]

    def exchanged(name: str) -> None:
        exchange(name, ("x", "y", "z"), names)
        repick()

    for place, label, name, options, extra in (
        (first, "Across", "x", names, {}),
        (second, "Up", "y", names, {}),
        (third, "Depth", "z", [NONE, *names], {"disabled": len(names) < 3}),
    ):
        default = dict(zip("xyz", shown, strict=False)).get(name, NONE)
        kept()[name] = default  # the address may name one objective twice
        choose(
            place, label, name, options, default, labels.__getitem__,
            on_change=exchanged, args=(name,), **extra,
        )  # fmt: skip
    return chosen_axes(axes), showing.choose_colour(fourth, measured, axes)


def filters(kind: str, bench: Workbench, axes: Sequence[Axis]) -> Bounds:
    """Bounds on every objective, and what of a view to show."""
    measured = bench.measured()
    count = len(bounding.bounds())
    with st.popover(f"Bounds ({count})" if count else "Bounds", key="bounds", help=WORDS["bound"]):
        found = bounding.bounds_panel(measured, axes, repick)
    with st.popover("Show", key="show"):
        if kind == "Parallel":
            recipe = controls.in_hand(bench.names)
            parallel_axes.choose(axes, list(recipe.coefficients) if recipe else [])
        showing.choose_log(axes)
        for name, label, words in (
            ("hide_dominated", "Hide dominated", "Show only the front and the unmerged models"),
            ("knees", "Knees", "Mark where the front bends: beyond it, small gains cost a lot"),
            ("show_hidden", "Hidden points", "Also show points that you have hidden"),
        ):
            asked = st.session_state["addressed"].get(name) == "1"
            now = kept().setdefault(name, asked)
            key = view_key(name)
            at = controls.anchored(key, now)
            heard = repick if name == "show_hidden" else None
            kept()[name] = st.toggle(label, at, key=key, help=words, on_change=heard)
            remember(**{name: "1" if kept()[name] else None})
    remember(bounds=limiting.to_text(found) or None)
    return dict(found)


def draw(
    kind: str,
    bench: Workbench,
    measured: Measured,
    axes: Sequence[Axis],
    over: Sequence[Axis],
    bounds: Bounds,
    asked: Criteria,
) -> components.Drawing | None:
    """Choices of a view, and its figure as the chart takes it; None if it cannot be drawn.

    Args:
        over: the objectives of the front.
        asked: its utility and constraints are drawn over two objectives.
    """
    names = tuple(axis.name for axis in axes)
    key: tuple[Any, ...] = (kind, tuple(sorted(bounds.items())), names, tuple(over))
    if kind == "Surface":
        return _surface(key, bench, measured, axes)
    if kind == "Parallel":
        return _parallel(key, measured, axes, over, bounds)
    if kind == "Curve":
        found = curving.panel(bench, measured, axes, measured.front_of(over))
        return packed((*key, *found[0]), measured, found[1]) if found is not None else None
    chosen, colour = choose_axes(measured, axes)
    sure = noise(bench).known(visible(bench), over, bounds)
    key += (colour, showing.on_log(axes), sure)
    key += (tuple(each.name for each in chosen), kept().get("knees"), kept().get("hide_dominated"))
    optima = filling.optima_of(bench, measured)
    externals = beside(bench)

    def make() -> dict[str, Any]:
        figure = _tradeoff(bench, measured, chosen, over, bounds, optima)
        figure = with_external(with_certainty(figure, sure), externals, chosen, bounds)
        figure = wishes.drawn(figure, measured, chosen, asked)
        return showing.finished(figure, measured, axes, chosen, colour)

    return packed((*key, asked, tuple(optima.items()), externals), measured, make)


def _tradeoff(
    bench: Workbench,
    measured: Measured,
    axes: Sequence[Axis],
    over: Sequence[Axis],
    bounds: Bounds,
    optima: dict[int, str],
) -> dict[str, Any]:
    front = measured.front_of(over)
    marked = None
    if kept().get("knees") and front.any():
        ranges = frozen(measured, over, len(bench.names.models))
        marked = front.copy()
        marked[front] = knees(
            measured.mean[front][:, [measured.column(axis.name) for axis in over]],
            [axis.maximize for axis in over],
            [ranges[axis.name] for axis in over] if ranges else None,
        )
    return figures.tradeoff(
        measured, axes, over,
        bounds=bounds, knees=marked, hide_dominated=bool(kept().get("hide_dominated")),
        optima=optima,
    )  # fmt: skip


def _parallel(
    key: tuple[Any, ...],
    measured: Measured,
    axes: Sequence[Axis],
    over: Sequence[Axis],
    bounds: Bounds,
) -> components.Drawing:
    order, front = parallel_axes.order(), measured.front_of(over)
    shown, names = [axis for axis in axes if axis.name in order], sorted(coefficients_of(order))
    hide = bool(kept().get("hide_dominated"))

    def make() -> dict[str, Any]:
        return parallel(
            measured, shown, front, coefficients=names, bounds=bounds, hide_dominated=hide
        )

    return packed((*key, tuple(shown), tuple(names), hide), measured, make)


def mount(kind: str, data: components.Drawing, clicked: Callable[[str], Any]) -> None:
    """Show what a view draws.

    Args:
        clicked: called in a callback with the id of a point.
    """

    def heard(key: str) -> Callable[[], None]:
        return lambda: clicked(st.session_state[key].get("clicked") or "")

    if kind == "Parallel":
        parallel_axes.mount(data, heard(parallel_axes.KEY), repick)
    else:
        components.chart(data, key="chart", on_click=heard("chart"))


def _surface(
    key: tuple[Any, ...], bench: Workbench, measured: Measured, axes: Sequence[Axis]
) -> components.Drawing | None:
    recipe = controls.in_hand(bench.names)
    names = list(recipe.coefficients) if recipe is not None else []
    if recipe is None or len(names) < 2:
        st.text("A surface needs a method with at least two coefficients: choose one on the right.")
        return None
    method = find_method(recipe.method)
    labels = {axis.name: axis.label for axis in axes}
    first, second, third, fourth = st.columns([1.3, 1, 1, 1])
    objective = choose(first, "Objective", "objective", list(labels), axes[0].name,
                       labels.__getitem__)  # fmt: skip
    across = choose(second, "Across", "across", names, names[0])
    rest = [name for name in names if name != across]
    up = choose(third, "Up", "up", rest, rest[0])
    form = choose(fourth, "View as", "form", list(FORMS), "map", FORMS.__getitem__)
    found = predicting.surfaces(bench.measured(), bench.objectives, recipe, bench.names).get(
        objective
    )
    if found is None or isinstance(found, TooFew):
        few = f": {found.have} of {found.need}" if found is not None else ""
        st.text(f"Too few points of this method to predict a surface from{few}.")
        st.text("Use the button under Recipe to measure the missing ones.")
        return None
    fixed = {name: value for name, value in recipe.coefficients.items() if name not in (across, up)}
    optimum = filling.best_of(bench, measured, recipe).get(objective)
    key += (objective, across, up, form, shape_of(recipe), tuple(fixed.items()), optimum)
    axis = next(each for each in axes if each.name == objective)
    ranges = {name: bench.study.slider_range(method, name) for name in (across, up)}

    def make() -> dict[str, Any]:
        return surface.surface(
            measured, axis, found, across, up, fixed, ranges, "3d" if form == "3d" else "map",
            rows=measured.like(recipe), optimum=optimum,
        )  # fmt: skip

    return packed(key, measured, make)


def _views() -> list[str]:
    """The chart, where its view shows the current recipe: a curve and a surface its other
    coefficients, parallel axes those of its method."""
    kind = kept().get("kind")
    shown = kind in ("Curve", "Surface") or (kind == "Parallel" and kept().get("coefficients"))
    return ["chart_panel"] if shown else []


def follow() -> None:
    """In a callback of the recipe's controls: what else shows the recipe is drawn again; the table
    when the recipe was that of a point, whose row is marked."""
    rows = ["table_panel"] if st.session_state.get("marked") is not None else []
    if _views() or rows:
        st.rerun(["recipe", *_views(), *rows])


def show_recipe() -> None:
    """In a callback: another recipe was loaded."""
    st.rerun(["recipe", *_views(), "table_panel"])


def repick() -> None:
    """In a callback: axes or bounds changed, so redraw chart, table and pick."""
    st.rerun(["chart_panel", "table_panel", "preference"])


def packed(
    key: tuple[Any, ...], measured: Measured, make: Callable[[], dict[str, Any]]
) -> components.Drawing:
    """A figure of these points for the chart component, computed once for all sessions."""
    found: components.Drawing = once(measured, key, lambda: components.drawing(make()))
    return found
