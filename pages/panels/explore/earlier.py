"""Scores from an earlier definition of an objective: reported, and measured again on request.

Such scores are in no chart and on no front.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from engine.counted import counted
from engine.errors import BadInput
from engine.recipe import Recipe, recipe_from_dict, resolve
from studio.workbench import Workbench


def words(found: Mapping[str, tuple[str, ...]]) -> str:
    """How many points of which objectives."""
    parts = [f"{name} of {len(points)}" for name, points in found.items()]
    many = "point" if [len(points) for points in found.values()] == [1] else "points"
    return (
        f"Scores from an earlier definition, left out of charts and fronts: {', '.join(parts)} "
        f"{many}."
    )


def recipes(bench: Workbench, found: Mapping[str, tuple[str, ...]]) -> list[Recipe]:
    """The recipes of those points that can still be composed."""
    kept = []
    for point in dict.fromkeys(each for points in found.values() for each in points):
        data = bench.store.point(point)
        try:
            if data is not None:
                kept.append(resolve(recipe_from_dict(data, point), bench.names, point))
        except BadInput:
            continue  # of a method or an expert that is gone: there is nothing to measure
    return kept


def show(bench: Workbench, start: Callable[[list[Recipe], str], None]) -> None:
    """The line and its button; nothing where every score is as of now."""
    found = bench.earlier()
    if not found:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="earlier"):
        st.text(words(found))
        again = recipes(bench, found) if bench.opened is not None else []
        st.button(
            "Measure them again", key="measure_anew", disabled=not again,
            help="Score these points with the current definition of the objectives",
            on_click=start, args=(again, f"Scoring {counted(len(again), 'point')} again"),
        )  # fmt: skip
