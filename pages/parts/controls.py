"""The recipe in hand: method, sliders, structural parameters. One canonical state, keyed by method.

st.session_state   method                     the selectbox, also in the URL
                   {method}.{coefficient}     the sliders, kept while another method is shown
                   parameters                 {method: applied structural parameters}
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import streamlit as st

from engine.errors import BadInput
from engine.recipe import METHODS, Method, Names, Parameter, Recipe, find_method, resolve
from engine.study import Study

STEP = 0.01
START = 0.5
WEIGHTS_FIRST = "task_arithmetic"


def methods() -> list[str]:
    """Names to choose from: weight space, logit space, then the models as they are."""
    order = {"weight": 0, "logit": 1}
    return sorted(
        METHODS,
        key=lambda name: (
            not METHODS[name].takes_coefficients,
            order[METHODS[name].space],
            name != WEIGHTS_FIRST,
        ),
    )


def key_of(method: str, coefficient: str) -> str:
    """The session state's key of a slider."""
    return f"{method}.{coefficient}"


def start_value(low: float, high: float) -> float:
    """Where a slider stands at first: 0.5, or as near as its range allows."""
    return min(max(START, low), high)


def span(low: float, high: float, value: float) -> tuple[float, float]:
    """The slider's range, widened for a recipe that came from elsewhere with a value beyond it."""
    return min(low, value), max(high, value)


def default_parameters(method: Method, names: Names) -> dict[str, Any]:
    """Every structural parameter's value before anything is applied."""
    return {
        each.name: names.models[0] if each.default is None else each.default
        for each in method.parameters
    }


def parameters_text(method: Method, values: Mapping[str, Any]) -> str:
    """The label of the parameter form: what is applied now."""
    shown = [
        f"{each.name} {values[each.name]:g}"
        if isinstance(values[each.name], float)
        else f"{each.name} {values[each.name]}"
        for each in method.parameters
    ]
    return ", ".join(shown)


def shares(recipe: Recipe) -> str:
    """What the sliders of a method that knows only proportions amount to."""
    total = sum(recipe.coefficients.values())
    return ", ".join(f"{name} {value / total:.2f}" for name, value in recipe.coefficients.items())


def applied(method: Method, names: Names) -> dict[str, Any]:
    """The structural parameters now in force."""
    kept = st.session_state.setdefault("parameters", {}).get(method.name, {})
    return default_parameters(method, names) | kept


def load_recipe(recipe: Recipe) -> None:
    """Put a recipe into the widgets; only before they are drawn: in a callback or ahead of them."""
    st.session_state["method"] = recipe.method
    for name, value in recipe.coefficients.items():
        st.session_state[key_of(recipe.method, name)] = float(value)
    kept = dict(st.session_state.get("parameters", {}))
    kept[recipe.method] = dict(recipe.parameters)
    st.session_state["parameters"] = kept
    for name, value in recipe.parameters.items():
        st.session_state[f"{recipe.method}:{name}"] = value


def choose_method() -> Method:
    """The method's selectbox; also in the URL."""
    name = st.selectbox("Method", methods(), key="method", persist_state="session")
    return find_method(name)


def sliders(study: Study, method: Method, names: Names) -> dict[str, float]:
    """One slider a coefficient, labelled with the expert's name."""
    found = {}
    for name in method.coefficient_names(names):
        low, high = study.slider_range(method, name)
        key = key_of(method.name, name)
        value = float(st.session_state.setdefault(key, start_value(low, high)))
        low, high = span(low, high, value)
        found[name] = st.slider(
            name, low, high, step=STEP, key=key, format="%.2f", persist_state="session"
        )
    return found


def _field(method: Method, each: Parameter, value: Any, names: Names) -> Any:
    key = f"{method.name}:{each.name}"
    st.session_state.setdefault(key, value)
    if each.kind in ("choice", "model"):
        options = list(each.choices if each.kind == "choice" else names.models)
        return st.selectbox(each.name, options, key=key, persist_state="session")
    whole = each.kind == "int"
    low, high = each.bounds.low, each.bounds.high
    cast = int if whole else float
    return st.number_input(
        each.name,
        min_value=cast(low) if math.isfinite(low) else None,
        max_value=cast(high) if math.isfinite(high) else None,
        step=1 if whole else 0.01,
        format="%d" if whole else "%.4g",
        key=key,
        help=f"Allowed: {each.bounds}" if (math.isfinite(low) or math.isfinite(high)) else None,
        persist_state="session",
    )


def _apply(method: Method) -> None:
    kept = dict(st.session_state.get("parameters", {}))
    kept[method.name] = {
        each.name: st.session_state[f"{method.name}:{each.name}"] for each in method.parameters
    }
    st.session_state["parameters"] = kept


def parameter_form(method: Method, names: Names) -> dict[str, Any]:
    """Structural parameters: they shape the basis, so they take effect together, on Apply."""
    values = applied(method, names)
    if not method.parameters:
        return values
    with (
        st.popover(parameters_text(method, values), width="stretch", key="parameters_open"),
        st.form("parameters_form", border=False),
    ):
        for each in method.parameters:
            _field(method, each, values[each.name], names)
        st.form_submit_button("Apply", on_click=_apply, args=(method,), type="primary")
    return values


def recipe_in_hand(study: Study, names: Names) -> tuple[Recipe | None, str]:
    """Draw the controls; the resolved recipe, or None and why it cannot be used."""
    method = choose_method()
    coefficients = sliders(study, method, names)
    parameters = parameter_form(method, names)
    try:
        return resolve(Recipe(method.name, coefficients, parameters), names, "this recipe"), ""
    except BadInput as error:
        return None, str(error)
