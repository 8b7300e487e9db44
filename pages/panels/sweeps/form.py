"""The form of a sweep, and its estimate, as widgets; what is filled in stays with the browser
session.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from engine.method import METHODS, Method
from engine.recipe import find_method
from engine.search.designs import design, levels
from engine.study import Study
from studio.export.exports import size_text
from studio.sweeps.estimating import Estimating, Form, Line, Memory, memory
from studio.sweeps.pace import duration
from studio.sweeps.sweep import design_words
from studio.workbench import Workbench
from ui import jobs
from ui.recipe import FIRST, anchored, default_parameters, methods, parameter_field

STRATEGIES = {
    "grid": "every combination of equal steps",
    "sobol": "any number, spread evenly by the seed",
}
MOST_POINTS = 10_000


def filled() -> dict[str, Any]:
    """What the form holds."""
    start = {"methods": [FIRST], "points": 25, "strategy": "grid", "seed": 0, "parameters": {}}
    return st.session_state.setdefault("sweep_form", start)


def ask(bench: Workbench) -> Form | None:
    """Draw the form; None while it lacks something."""
    kept = filled()
    sweepable = [name for name in methods() if METHODS[name].takes_coefficients]
    kept["methods"] = st.multiselect(
        "Methods",
        sweepable,
        default=anchored("sweep_methods", kept["methods"]),
        key="sweep_methods",
    )
    names = list(bench.objective_names)
    kept["objectives"] = st.multiselect(
        "Objectives",
        names,
        default=anchored("sweep_objectives", kept.get("objectives", names)),
        key="sweep_objectives",
        help="Only these are measured. Others can be added later: a sweep measures what is missing",
    )
    strategies = list(STRATEGIES)
    kept["strategy"] = st.selectbox(
        "Design",
        strategies,
        index=anchored("sweep_strategy", strategies.index(kept["strategy"])),
        format_func=lambda name: f"{name}: {STRATEGIES[name]}",
        key="sweep_strategy",
    )
    left, right = st.columns(2)
    kept["points"] = left.number_input(
        "Points a method",
        1,
        MOST_POINTS,
        anchored("sweep_points", kept["points"]),
        key="sweep_points",
    )
    kept["seed"] = right.number_input(
        "Seed of sobol",
        0,
        2**31 - 1,
        anchored("sweep_seed", kept["seed"]),
        key="sweep_seed",
        disabled=kept["strategy"] == "grid",
    )
    with st.container(key="sweep_method_words", gap="xsmall"):
        for name in kept["methods"]:
            _method(bench, find_method(name), kept)
    if not kept["methods"] or not kept["objectives"]:
        st.text("Choose at least one method and one objective.")
        return None
    return _form(kept)


def _method(bench: Workbench, method: Method, kept: Mapping[str, Any]) -> None:
    """What a method does, how many points it gets, and its structural parameters."""
    points = _points(bench.study, method, kept)
    with st.expander(f"{method.name}: {points}", key=f"sweep_method:{method.name}"):
        st.text(f"{method.summary.rstrip('.')}. Source: {method.source}.")
        defaults = default_parameters(method, bench.names)
        values = defaults | kept["parameters"].get(method.name, {})
        kept["parameters"][method.name] = {
            each.name: parameter_field(
                each, values[each.name], bench.names, f"sweep:{method.name}:{each.name}"
            )
            for each in method.parameters
        }


def _points(study: Study, method: Method, kept: Mapping[str, Any]) -> str:
    """How many points a design really has, and of what."""
    points = int(kept["points"])
    count = len(method.coefficient_names(study.family.names))
    over = f"{count} coefficient{'s' if count != 1 else ''}"
    if kept["strategy"] == "sobol":
        return f"{points} points over {over}"
    known = st.session_state.setdefault("sweep_grids", {})
    if (method.name, points) not in known:
        known[method.name, points] = grid_words(study, method, points)
    return f"{known[method.name, points]} over {over}"


def grid_words(study: Study, method: Method, points: int) -> str:
    """The points that a grid of at most `points` has, and its levels."""
    count = len(design(study, method.name, points, "grid"))
    words = f"{count} point{'s' if count != 1 else ''}"
    if method.simplex and method.name not in study.ranges:
        return f"{words}, a lattice of mixtures"
    steps = levels(points, len(method.coefficient_names(study.family.names)))
    return f"{words}, {steps} level{'s' if steps != 1 else ''} each"


def _form(kept: Mapping[str, Any]) -> Form:
    designs = []
    for name in kept["methods"]:
        defaults = {each.name: each.default for each in find_method(name).parameters}
        values = kept["parameters"].get(name, {})
        designs.append(
            {
                "method": name,
                "points": int(kept["points"]),
                "strategy": kept["strategy"],
                "seed": int(kept["seed"]) if kept["strategy"] == "sobol" else 0,
                "parameters": {k: v for k, v in values.items() if v != defaults[k]},
            }
        )
    return Form(tuple(designs), tuple(kept["objectives"]))


def show_estimate(bench: Workbench, estimating: Estimating) -> list[Line]:
    """The estimate in words; its lines where the sweep can start, else none."""
    lines = estimating.lines(bench)
    need = memory(bench, [line.design["method"] for line in lines])
    for text in estimate_words(lines, need):
        st.text(text)
    for line in lines:
        if line.error:
            st.error("No point could be measured.", icon=":material/error:")
            st.text(design_words(line.design))
            st.code(line.error, language=None, wrap_lines=True)
    if need is not None and need.needed > need.available:
        st.warning("This may not fit into memory.", icon=":material/warning:")
    new = any(line.new for line in lines)
    return lines if new and not any(line.new and line.total is None for line in lines) else []


def estimate_words(lines: Sequence[Line], need: Memory | None) -> list[str]:
    """An estimate as lines of text, the sum first."""
    new, whole = sum(line.new for line in lines), sum(len(line.recipes) for line in lines)
    text = f"{new} new point{'s' if new != 1 else ''} ({whole - new} there already)."
    if not new:
        return [f"{text} Every point of this sweep is measured."]
    found = [text]
    if not any(line.new and line.total is None for line in lines):
        found[0] += f" About {duration(sum(line.total or 0.0 for line in lines))} in all."
    for line in lines:
        if line.seconds is None or not line.new:
            continue
        once = f", {duration(line.prepare)} once to prepare" if line.prepare >= 0.1 else ""
        found.append(
            f"{design_words(line.design)}: {line.new} × {duration(line.seconds)} a point,"
            f" measured on one{once}."
        )
    if need is not None:
        found.append(
            f"Memory: up to {size_text(need.needed)} needed,"
            f" {size_text(need.available)} free when the study was opened."
        )
    return found


def progress(bench: Workbench, estimating: Estimating) -> None:
    """Take the estimate a step on and show how far it is, or why it ended."""
    estimating.step(bench)
    task = estimating.task(bench)
    if task is None or estimating.finished:
        return
    if estimating.busy(bench):
        jobs.bar(task, estimating.session, estimating.form.objectives)
    else:
        jobs.ending(task, estimating.session)
