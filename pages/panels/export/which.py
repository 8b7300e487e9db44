"""Which model is written: the current recipe, unless the address or a choice here names another,
which then becomes the current one.

    Explore, Compare, …  ── recipe in hand ──►┐
    address  point=… or method=…&c=…&p=… ────►├──► Model ──► heading, address, export
    the list of points, or an id ────────────►┘
"""

from __future__ import annotations

import streamlit as st

from engine.errors import BadInput, shown
from engine.recipe import resolve
from studio.export import exports
from studio.export.model import Model, model_of
from studio.points.titles import name_of
from studio.points.view import Measured
from studio.workbench import Workbench
from ui import address
from ui import recipe as controls
from ui.choices import remember
from ui.front import front_axes
from ui.recipe import anchored
from ui.tray import tray

NAMED = ("point", "method", "c", "p", "prune")
"""What of the address names a model."""


def choose(bench: Workbench, measured: Measured) -> Model | None:
    """The model, with the widgets that put another one in its place; None if there is none.

    Raises:
        BadInput: the first point that is offered cannot be made any more.
    """
    _take_address(bench, measured)
    model = _in_hand(bench, measured)
    ids = exports.choices(measured, front_axes(bench), tray(), model.point if model else None)
    if model is None and ids:
        row = measured.row_of[ids[0]]
        recipe = resolve(measured.recipes[row], bench.names)
        model = model_of(measured, recipe, name_of(bench, recipe))
    if model is not None:
        remember(point=model.point, **address.of_recipe(model.recipe, bench.names))
        st.session_state["export_address"] = _named()
    with st.container(key="export_model", gap="xsmall"):
        if model is None:
            st.text("Nothing to export yet")
        else:
            with st.container(key="export_says"):
                st.text("This model will be written:")
            st.text(model.title)
            with st.container(key="export_made_of", gap="xsmall"):
                for line in model.lines:
                    st.text(line)
    _another(bench, measured, ids, model)
    return model


def _named() -> dict[str, str]:
    return {name: st.query_params[name] for name in NAMED if name in st.query_params}


def _take_address(bench: Workbench, measured: Measured) -> None:
    """Load the recipe that the address names, once; from then on this page writes the current
    recipe into the address."""
    asked = _named()
    if asked == st.session_state.get("export_address") or bench.known is None:
        return
    st.session_state["export_address"] = asked
    st.session_state["export_unknown"] = ""
    point = asked.get("point")
    recipe = None
    if point in measured.row_of:
        recipe = measured.recipes[measured.row_of[point]]
    elif asked:
        if point is not None:
            st.session_state["export_unknown"] = f"This study has no point {shown(point, most=80)}."
        try:
            recipe = address.to_recipe(asked, bench.names)
        except BadInput as error:
            st.session_state["export_unknown"] = f"This address cannot be used: {error}"
        # an address holds six digits: the current recipe may have more, and is what is meant
        now = controls.in_hand(bench.names)
        if recipe is not None and now is not None:
            said = (address.of_recipe(each, bench.names) for each in (recipe, now))
            recipe = None if next(said) == next(said) else recipe
    if recipe is not None and recipe != controls.in_hand(bench.names):
        controls.hand().load(recipe)


def _in_hand(bench: Workbench, measured: Measured) -> Model | None:
    """The current recipe, whatever page it was made on; None if nobody has made one."""
    hand = controls.hand()
    if hand.method not in hand.coefficients and hand.method not in hand.parameters:
        return None
    recipe = controls.in_hand(bench.names)
    if recipe is None:
        return None
    return model_of(measured, recipe, name_of(bench, recipe))


def _another(bench: Workbench, measured: Measured, ids: list[str], model: Model | None) -> None:
    """The list of points, and any other by its id."""
    now = model.point if model is not None else None
    key = f"points:{now}:{controls.hand().generation}"
    listed, typed = st.columns([2, 1], vertical_alignment="bottom")
    listed.selectbox(
        "Point", ids, key=key, placeholder="Choose a measured point",
        index=anchored(key, ids.index(now) if now in ids else None),
        format_func=lambda each: f"{measured.text(measured.row_of[each])} · {each}",
        help="The front, the unmerged models, and recipes in the tray",
        on_change=lambda: _take(measured, st.session_state[key]), disabled=not ids,
    )  # fmt: skip
    typed.text_input(
        "Or enter its id", key="export_id", help="Any measured point; the first characters are "
        "enough",
        on_change=lambda: _look_up(measured, st.session_state["export_id"]),
    )  # fmt: skip
    if st.session_state.get("export_unknown"):
        st.text(st.session_state["export_unknown"])


def _take(measured: Measured, point: str | None) -> None:
    """A point was selected: its recipe becomes the current one."""
    st.session_state["export_unknown"] = ""
    if point is not None:
        controls.hand().load(measured.recipes[measured.row_of[point]])


def _look_up(measured: Measured, text: str) -> None:
    if not text.strip():
        st.session_state["export_unknown"] = ""
        return
    found, why = exports.look_up(measured, text)
    _take(measured, found)
    st.session_state["export_unknown"] = why
