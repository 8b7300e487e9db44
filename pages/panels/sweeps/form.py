"""The form of a sweep as widgets; the browser session keeps what is filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from engine.bands import GROUPS, groups_of
from engine.method import METHODS, Method, first_method
from engine.parameter import Parameter
from engine.recipe import find_method
from engine.search.strategies import STRATEGIES, is_search
from pages.panels.sweeps import search_form
from studio.glossary import WORDS
from studio.sweeps.estimating import Form, form_of
from studio.sweeps.sizes import Size, shortfalls, size_of, size_words
from studio.workbench import Workbench
from ui.parameter import parameter_field
from ui.recipe import anchored, default_parameters, methods

MOST_POINTS = 10_000
POINTS = 32
"""At first; scrambled Sobol points balance where their number is a power of two."""


def filled() -> dict[str, Any]:
    """What the form holds."""
    first = [first_method().name]
    start = {"methods": first, "points": POINTS, "strategy": "sobol", "seed": 0, "parameters": {}}
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
        help=WORDS["method"],
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
        format_func=lambda name: f"{name}: {STRATEGIES[name].summary}",
        key="sweep_strategy",
        help=WORDS["design"],
    )
    options = search_form.ask(kept, kept["objectives"])
    left, right = st.columns(2)
    grid = kept["strategy"] == "grid"
    kept["points"] = left.number_input(
        "Max points per method" if grid else "Points per method",
        1,
        MOST_POINTS,
        anchored("sweep_points", kept["points"]),
        key="sweep_points",
    )
    kept["seed"] = right.number_input(
        "Seed",
        0,
        2**31 - 1,
        anchored("sweep_seed", kept["seed"]),
        key="sweep_seed",
        help=WORDS["seed"],
        disabled=grid,
    )
    sizes = {name: _size(bench, find_method(name), kept) for name in kept["methods"]}
    with st.container(key="sweep_sizes", gap="xsmall"):
        for text in shortfalls(list(sizes.values())):
            st.text(text)
    with st.container(key="sweep_method_words", gap="xsmall"):
        for name, size in sizes.items():
            _method(bench, find_method(name), size, kept)
    found = form_of(kept, sizes, options)
    if is_search(kept["strategy"]) and options is None:
        return None
    if found is None:
        st.text("Choose at least one method and one objective.")
    return found


def _size(bench: Workbench, method: Method, kept: Mapping[str, Any]) -> Size:
    """How many points a design really has; computed once per request."""
    known: dict[Any, Size] = st.session_state.setdefault("sweep_sizes", {})
    before = groups_of(kept["parameters"].get(method.name, {}))
    # its field is drawn below, with the other parameters
    groups = int(st.session_state.get(_key(method, GROUPS), before) or 1)
    key = (method.name, int(kept["points"]), kept["strategy"], groups)
    if key not in known:
        known[key] = size_of(bench.study, method, int(kept["points"]), kept["strategy"], groups)
    return known[key]


def _method(bench: Workbench, method: Method, size: Size, kept: Mapping[str, Any]) -> None:
    """What a method does, how many points it gets, and its structural parameters."""
    with st.expander(f"{method.name}: {size_words(size)}", key=f"sweep_method:{method.name}"):
        st.text(f"{method.words.rstrip('.')}. Source: {method.source}.")
        defaults = default_parameters(method, bench.names)
        values = defaults | kept["parameters"].get(method.name, {})
        kept["parameters"][method.name] = {
            each.name: _parameter(bench, method, each, values[each.name])
            for each in method.parameters_in(bench.names)
        }


def _parameter(bench: Workbench, method: Method, each: Parameter, value: Any) -> Any:
    key = _key(method, each)
    return parameter_field(each, anchored(key, value), bench.names.models, key)


def _key(method: Method, each: Parameter) -> str:
    return f"sweep:{method.name}:{each.name}"
