"""The current recipe: method, sliders, structural parameters.

    Hand ──► widgets ──► Hand          a user moves a slider
    load_recipe ──► Hand, new widgets  a click on the chart puts a recipe in

Streamlit's browser side does not always follow a value that code sets on a widget that is there,
and sends its own old value with the next event. So the truth is in `Hand`, and loading a recipe
makes new widgets (the generation is part of their keys) instead of changing old ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import streamlit as st

from engine.bands import band_of, each_band, groups_of
from engine.errors import BadInput
from engine.method import first_method
from engine.parameter import Parameter
from engine.prune import Prune
from engine.recipe import METHODS, Method, Names, Recipe, find_method, resolve
from engine.study import Study
from studio.glossary import WORDS
from studio.points.recipes import value_text
from ui.parameter import parameter_field
from ui.sliders import STEP, Folded, anchored, regroup, span, start_value

ONE_COLUMN = 3
"""Sliders that stand below each other."""


def methods() -> list[str]:
    """Names to choose from: weight space, logit space, then the unmerged models."""
    order = {"weight": 0, "logit": 1}
    return sorted(
        METHODS,
        key=lambda name: (
            not METHODS[name].takes_coefficients,
            order[METHODS[name].space],
            not METHODS[name].first,
        ),
    )


@dataclass
class Hand:
    """What is in hand, of one browser session.

    Attributes:
        coefficients: method -> name -> value; a method keeps its own while another is shown.
        parameters: method -> applied structural parameters.
        prunes: method -> what is pruned after its merge; a method that is missing prunes nothing.
        generation: grows when code changed the values.
    """

    method: str = field(default_factory=lambda: first_method().name)
    coefficients: dict[str, dict[str, float]] = field(default_factory=dict)
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)
    prunes: dict[str, Prune | None] = field(default_factory=dict)
    generation: int = 0

    def load(self, recipe: Recipe) -> None:
        """Take a recipe in hand."""
        self.method = recipe.method
        self.coefficients[recipe.method] = dict(recipe.coefficients)
        self.parameters[recipe.method] = dict(recipe.parameters)
        self.prunes[recipe.method] = recipe.prune and replace(recipe.prune, rows="")
        self.generation += 1


def hand() -> Hand:
    """The hand of this browser session."""
    return st.session_state.setdefault("hand", Hand())


def default_parameters(method: Method, names: Names) -> dict[str, Any]:
    """Every structural parameter's value before anything is applied."""
    return {
        each.name: names.models[0] if each.required else names.default_of(each)
        for each in method.parameters
    }


def parameters_text(method: Method, values: Mapping[str, Any]) -> str:
    """The label of the parameter form: what is applied now."""
    shown = [
        f"{each.name} {value_text(values[each.name])}"
        for each in method.parameters
        if each.counts(values)
    ]
    return ", ".join(shown)


def shares(recipe: Recipe) -> str:
    """What the sliders of a method that knows only proportions amount to."""
    totals = [sum(band.values()) for band in each_band(recipe.coefficients)]
    return ", ".join(
        f"{name} {value / totals[max(0, band_of(name) - 1)]:.2f}"
        for name, value in recipe.coefficients.items()
    )


def applied(method: Method, names: Names) -> dict[str, Any]:
    """The structural parameters now in force."""
    return default_parameters(method, names) | hand().parameters.get(method.name, {})


def coefficients(method: Method, names: Names) -> dict[str, float]:
    """The coefficients in hand, of as many bands of layers as the parameters now say."""
    kept = hand().coefficients.setdefault(method.name, {})
    regroup(kept, groups_of(applied(method, names)))
    return kept


def choose_method(on_change: Callable[[], Any] | None = None) -> Method:
    """The method's selectbox."""
    names = methods()
    key = f"method:{hand().generation}"
    at = anchored(key, names.index(hand().method))
    hand().method = st.selectbox(
        "Method", names, index=at, key=key, label_visibility="collapsed",
        format_func=lambda each: f"Method: {each}", on_change=on_change,
    )  # fmt: skip
    return find_method(hand().method)


def sliders(
    study: Study, method: Method, names: Names, on_change: Callable[[], Any] | None
) -> dict[str, float]:
    """One slider a model, labelled with its name; those of its bands are folded under it."""
    kept = coefficients(method, names)
    labels, groups = method.mixed_names(names), groups_of(applied(method, names))
    if groups > 1:
        with st.container(key="banded"):  # it scrolls: what is done with them stays in sight
            for name in labels:
                folded = Folded(study, method, name, groups, kept, hand().generation)
                folded.draw(names, on_change)
        return dict(kept)
    # many stand in two columns, so that what is done with them stays in sight at 720 pixels
    places = st.columns(2, gap="small") if len(labels) > ONE_COLUMN else [st]
    for number, name in enumerate(labels):
        low, high = study.slider_range(method, name)
        key = f"{method.name}.{name}:{hand().generation}"
        at = anchored(key, kept.get(name, start_value(low, high)))
        low, high = span(low, high, at)
        kept[name] = places[number % len(places)].slider(
            name, low, high, at, step=STEP, key=key, format="%.2f", on_change=on_change,
            help=method.slider,
        )  # fmt: skip
    return dict(kept)


def _field_key(method: Method, each: Parameter) -> str:
    return f"{method.name}:{each.name}:{hand().generation}"


def _apply(method: Method, names: Names, then: Callable[[], Any]) -> None:
    hand().parameters[method.name] = {
        each.name: st.session_state[_field_key(method, each)]
        for each in method.parameters_in(names)
    }
    then()


def parameter_form(
    method: Method, names: Names, then: Callable[[], Any] = lambda: None
) -> dict[str, Any]:
    """Structural parameters: they shape the basis, so they take effect together, on Apply."""
    values = applied(method, names)
    if not method.parameters:
        return values
    with (
        st.popover(
            parameters_text(method, values),
            width="stretch",
            key="parameters_open",
            help=WORDS["parameter"],
        ),
        st.form("parameters_form", border=False),
    ):
        for each in method.parameters_in(names):
            key = _field_key(method, each)
            parameter_field(each, anchored(key, values[each.name]), names.models, key)
        st.form_submit_button("Apply", on_click=_apply, args=(method, names, then), type="primary")
    return values


def hear(study: Study, names: Names) -> None:
    """Take what the widgets say into the hand, for a callback.

    While a run is under way Streamlit puts a user's next events together: the move of a slider and
    the press of a button after it arrive as one, and the button's arguments are of the run before.
    """
    held, said = hand(), st.session_state
    held.method = said.get(f"method:{held.generation}", held.method)
    method = find_method(held.method)
    kept, groups = coefficients(method, names), groups_of(applied(method, names))
    for name in method.mixed_names(names):
        if groups > 1:
            Folded(study, method, name, groups, kept, held.generation).hear()
            continue
        key = f"{method.name}.{name}:{held.generation}"
        there = kept.get(name, start_value(*study.slider_range(method, name)))
        kept[name] = said.get(key, there)


def in_hand(names: Names) -> Recipe | None:
    """The resolved recipe as the controls have it, without drawing them; None if they make
    none."""
    method = find_method(hand().method)
    kept, prune = coefficients(method, names), hand().prunes.get(method.name)
    try:
        return resolve(Recipe(method.name, kept, applied(method, names), prune), names)
    except BadInput:
        return None


def recipe_in_hand(
    study: Study,
    names: Names,
    on_change: Callable[[], Any] | None = None,
    beside: Callable[[], Any] = lambda: None,
    below: Callable[[Method], Any] = lambda _: None,
    then: Callable[[], Any] = lambda: None,
) -> tuple[Recipe | None, str]:
    """Draw the controls; the resolved recipe, or None and why it cannot be used.

    Args:
        on_change: called when a slider was moved, before anything is drawn again.
        beside: draws what stands beside the method, once the sliders have been heard.
        below: draws what stands behind the parameters.
        then: called when another method was chosen, or its parameters were applied, likewise.
    """

    def chosen() -> None:
        hear(study, names)
        then()

    row = st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key="method_row")
    with row:
        method = choose_method(chosen)
    with st.container(key="method_words"):
        st.text(f"{method.words} {method.source}.")
    kept = sliders(study, method, names, on_change)
    with row:
        beside()
    with st.container(horizontal=True, gap="xsmall", key="parameters_row"):
        parameters = parameter_form(method, names, then)
        below(method)
    recipe = Recipe(method.name, kept, parameters, hand().prunes.get(method.name))
    try:
        return resolve(recipe, names, "this recipe"), ""
    except BadInput as error:
        return None, str(error)
