"""The trade-off's figure, a plain function from data to plotly: dictionaries, no drawing.

cloud    measured points, a shape each method; thinned where there are too many to show
front    larger, outlined; with the stair of what it dominates where it is over just the two axes;
         a hollow mark, no larger than the cloud's, where only an objective that is not on the axes
         brings the point there
knees    a square around a front point where giving up a little more buys much less
best     a star around a point that is computed to be its method's best on one of the axes
models   base, target and experts, unmerged, by name
bounds   a dashed line on an axis, the excluded side shaded
"""

from __future__ import annotations

import html
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from engine.front.bounds import FREE, Bounds
from studio.charts import marks
from studio.charts.limits import bound_shapes, planes
from studio.charts.marks import BACKGROUND, FRONT, MEASURED, SINGLE, TEXT, rounded
from studio.charts.optima import NO_OPTIMA, on_axes
from studio.charts.thinning import DRAWN, thinned
from studio.decide.front import elsewhere, names_text, through
from studio.points.view import Axis, Measured

WEBGL_FROM = 1500
"""Points from which all is drawn with WebGL: without a GPU 10,000 take 0.3 s, in SVG 0.6. Its
canvas lies over what is drawn in SVG, so front and models would vanish under the cloud."""

BARS_UP_TO = 200
"""Points up to which each has its error bars drawn; beyond, the front and the models have them."""

SYMBOLS = {"base": "diamond", "target": "star"}


def staircase(values: np.ndarray, maximize: Sequence[bool]) -> tuple[list[float], list[float], str]:
    """The boundary of what the front dominates, in two objectives.

    A straight line between two points would promise mixtures nobody measured; the stair says only
    what follows from the points.

    Args:
        values: float [k, 2], the front's points.

    Returns:
        x, y sorted along x, and plotly's line shape.
    """
    order = np.lexsort((values[:, 1], values[:, 0]))
    return rounded(values[order, 0]), rounded(values[order, 1]), "vh" if maximize[0] else "hv"


def _cloud(
    measured: Measured, rows: np.ndarray, drawn: np.ndarray, axes: Sequence[Axis], kind: str
) -> list[dict[str, Any]]:
    """The measured points beside front and models: one trace a method, so that each has its shape
    and a legend entry that hides it."""
    deep = kind == "scatter3d"
    of_all, of_drawn = _by_method(measured, rows), _by_method(measured, drawn)
    symbols = marks.deep_marks(measured) if deep else {}
    size = 4 if deep else 5 if len(drawn) > WEBGL_FROM else 8
    traces = []
    for method, group in (of_drawn or {"": drawn}).items():
        name = "measured" if len(of_drawn) < 2 else f"measured, {html.escape(method)}"
        if len(drawn) < len(rows):
            name += f" ({len(group):,} of {len(of_all[method]):,} drawn)"
        marker = {"color": MEASURED, "size": size, "opacity": marks.OPACITY}
        marker["symbol"] = symbols.get(method, "circle") if deep else marks.mark_of(method)
        traces.append(
            marks.points(
                measured, group, axes,
                name=name, colour=MEASURED, kind=kind,
                with_bars=len(rows) <= BARS_UP_TO, marker=marker,
            )
        )  # fmt: skip
    return traces


def _by_method(measured: Measured, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Method -> its rows, in the order the methods first come."""
    groups: dict[str, list[int]] = {}
    for row in rows.tolist():
        groups.setdefault(measured.recipes[row].method, []).append(row)
    return {method: np.array(group) for method, group in groups.items()}


def _stair(values: np.ndarray, axes: Sequence[Axis], kind: str) -> dict[str, Any]:
    x, y, shape = staircase(values, [axis.maximize for axis in axes])
    return {
        "type": kind,
        "mode": "lines",
        "x": x,
        "y": y,
        "line": {"color": FRONT, "width": 1.5, "shape": shape},
        "opacity": marks.OPACITY,
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _front(
    measured: Measured, rows: np.ndarray, axes: Sequence[Axis], kind: str, beside: str = ""
) -> dict[str, Any]:
    """Members of the front.

    Args:
        beside: the objectives off the axes that alone bring them there, in words.
    """
    deep, many = kind == "scatter3d", len(rows) > WEBGL_FROM
    marker: dict[str, Any] = {"color": FRONT, "size": 5 if deep else 8 if many else 11}
    symbols = marks.deep_marks(measured) if deep else {}
    methods = [measured.recipes[row].method for row in rows.tolist()]
    shapes = [symbols.get(each, "circle") if deep else marks.mark_of(each) for each in methods]
    marker["symbol"] = shapes[0] if len(set(shapes)) == 1 else shapes
    if not deep:
        marker["line"] = {"color": TEXT, "width": 1}
    name = "front"
    if beside:
        name = f"on the front because of {html.escape(beside)}"
        if deep:
            marker["opacity"] = 0.5
        else:
            marker |= {
                "size": 6 if many else 8, "color": BACKGROUND,
                "line": {"color": FRONT, "width": 1.5},
            }  # fmt: skip
    trace = marks.points(
        measured, rows, axes,
        name=name, colour=MEASURED if beside else FRONT, kind=kind, with_bars=not many,
        marker=marker,
    )  # fmt: skip
    if beside:
        trace["hovertemplate"] = _noted(trace["hovertemplate"], beside)
    return trace


def _noted(template: str, beside: str) -> str:
    """A hover text that says through what the point is on the front."""
    note = f"<br>on the front because of {html.escape(beside)}, not on these axes"
    return template.replace("<extra></extra>", f"{note}<extra></extra>")


def _knees(values: np.ndarray, kind: str) -> dict[str, Any]:
    """Open squares around points; hover and click go to the point inside."""
    deep = kind == "scatter3d"
    trace: dict[str, Any] = {
        "type": kind,
        "mode": "markers",
        "name": "knee",
        "hoverinfo": "skip",
        "marker": {"color": TEXT, "size": 9 if deep else 19, "symbol": "square-open"}
        | ({} if deep else {"line": {"color": TEXT, "width": 2}}),
    }
    return trace | {
        letter: rounded(column) for letter, column in zip("xyz", values.T, strict=False)
    }


def _models(
    measured: Measured, rows: np.ndarray, axes: Sequence[Axis], kind: str,
    front: np.ndarray, hidden: np.ndarray, beside: str,
) -> dict[str, Any]:  # fmt: skip
    """Base, target and experts, unmerged, each with its name; an outline where on the front.

    Args:
        front, hidden: bool [points]: on the front; there only through objectives off the axes.
        beside: those objectives in words.
    """
    deep = kind == "scatter3d"
    names = [str(measured.recipes[row].parameters["model"]) for row in rows.tolist()]
    on_front = front[rows].tolist()
    shapes = ["square" if deep else SYMBOLS.get(name, "square") for name in names]
    if deep:
        shapes = ["diamond" if name in SYMBOLS else "square" for name in names]
    trace = marks.points(
        measured, rows, axes,
        name="unmerged models", colour=SINGLE, kind=kind, with_bars=True,
        mode="markers+text",
        text=[
            f"{html.escape(name)}{' (front)' if best else ''}"
            for name, best in zip(names, on_front, strict=True)
        ],
        textposition="top center" if deep else "bottom center",
        textfont={"color": TEXT, "size": 12},
        marker={
            "color": SINGLE,
            "size": 6 if deep else 12,
            "symbol": shapes,
            "line": {"color": TEXT, "width": 1}
            if deep
            else {"color": FRONT, "width": [2.5 * best for best in on_front]},
        },
        **({} if deep else {"cliponaxis": False}),
    )  # fmt: skip
    if beside and hidden[rows].any():
        plain = trace["hovertemplate"]
        trace["hovertemplate"] = [
            _noted(plain, beside) if each else plain for each in hidden[rows].tolist()
        ]
    return trace


def _names(models: dict[str, Any]) -> list[dict[str, Any]]:
    """The models' names over a dense cloud, where text needs a ground of its own; they leave the
    trace."""
    look = {
        "showarrow": False,
        "yshift": -17,
        "bgcolor": BACKGROUND,
        "opacity": 0.9,
        "borderpad": 1,
    }
    models["mode"] = "markers"
    places = zip(models["x"], models["y"], models.pop("text"), strict=True)
    font = models.pop("textfont")
    return [{"x": x, "y": y, "text": text, "font": font} | look for x, y, text in places]


def tradeoff(
    measured: Measured,
    axes: Sequence[Axis],
    over: Sequence[Axis],
    *,
    bounds: Bounds | None = None,
    knees: np.ndarray | None = None,
    hide_dominated: bool = False,
    keep: Collection[str] = (),
    optima: Mapping[int, str] = NO_OPTIMA,
) -> dict[str, Any]:
    """Two or three objectives against each other: the points, the front, the unmerged models.

    Args:
        measured: the points to show; those outside the bounds are not among them.
        axes: two or three.
        over: the objectives of the front; on the axes or not.
        bounds: drawn where they are on one of the axes.
        knees: bool [points], which of the front are knees.
        hide_dominated: leave only the front and the unmerged models.
        keep: ids of points drawn however many there are.
        optima: row -> the objective that it is computed to be its method's best on.

    Returns:
        {"data", "layout"} of plotly; the names of the objectives are in `layout.meta`, so that the
        marks over the chart know where to go.
    """
    deep = len(axes) == 3
    columns = [measured.column(axis.name) for axis in axes]
    shown = np.isfinite(measured.mean[:, columns]).all(axis=1)
    values = measured.mean[:, columns]
    singles, front = measured.singles & shown, measured.front_of(over) & shown
    hidden, beside = through(measured, over, axes), names_text(elsewhere(over, axes))
    wanted = {axis.name: (bounds or {}).get(axis.name, FREE) for axis in axes}
    cloud, best = (
        np.flatnonzero(shown & ~front & ~singles),
        np.flatnonzero(front & ~singles & ~hidden),
    )
    far = np.flatnonzero(front & ~singles & hidden)
    drawn = cloud[:0]
    if not hide_dominated:
        kept = np.zeros(len(measured), dtype=bool)
        kept[[measured.row_of[point] for point in keep if point in measured.row_of]] = True
        drawn = cloud[thinned(values[cloud], DRAWN, kept[cloud])]
    many = max(len(drawn), len(best), len(far)) > WEBGL_FROM
    kind = "scatter3d" if deep else "scattergl" if many else "scatter"
    data = [] if hide_dominated else _cloud(measured, cloud, drawn, axes, kind)
    if not deep and front.any() and {*axes} == {*over}:
        data.append(_stair(values[front], axes, kind))
    if len(far):
        data.append(_front(measured, far, axes, kind, beside))
    data.append(_front(measured, best, axes, kind))
    if knees is not None and (knees & front).any():
        data.append(_knees(values[knees & front], kind))
    data += on_axes(measured, axes, optima, kind)
    data.append(_models(measured, np.flatnonzero(singles), axes, kind, front, hidden, beside))
    names = [axis.name for axis in axes]
    layout = marks.frame("/".join(names), {"axes": names}, deep)
    if deep:
        layout["scene"] = {
            f"{letter}axis": marks.deep_axis(axis.label)
            for letter, axis in zip("xyz", axes, strict=True)
        } | {"camera": {"eye": {"x": 1.5, "y": 1.5, "z": 0.8}}, "aspectmode": "cube"}
        for place, axis in enumerate(axes if shown.any() else ()):
            data += planes(wanted[axis.name], values[shown], place)
        return {"data": data, "layout": layout}
    count = int(shown.sum())
    if count < marks.FEW:  # what a user zooms to is kept from the first real view on
        layout["uirevision"] += "/few"
    if many:
        layout["annotations"] = _names(data[-1])
    layout["shapes"] = []
    for place, (letter, axis) in enumerate(zip("xy", axes, strict=True)):
        layout[f"{letter}axis"] = marks.flat_axis(axis, count)
        if wanted[axis.name] != FREE:
            shapes, limits = bound_shapes(letter, wanted[axis.name], values[shown, place])
            layout["shapes"] += shapes
            layout[f"{letter}axis"]["autorangeoptions"] = limits
    return {"data": data, "layout": layout}
