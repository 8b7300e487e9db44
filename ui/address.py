"""A recipe in the address of Explore and the tray in that of all pages, both ways: links lead back.

Explore  method=pcb & c=helpful:1,harmless:0.6 & p=ratio:0.2 & prune=harm:0.1:activation
Tray     points=base,0123456789ab,pcb(helpful:1;harmless:0.6)(ratio:0.2)(harm:0.1:activation)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote, unquote

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from engine.errors import BadInput, bad
from engine.prune import Prune, prune_from_dict
from engine.recipe import METHODS, Names, Recipe, find_method, resolve
from studio.compare.comparing import model_recipe
from studio.points.view import Measured
from studio.workbench import Workbench
from ui import tray
from ui.recipe import Hand, default_parameters, hand

MIXTURE = re.compile(r"(\w+)\(([^()]*)\)(?:\(([^()]*)\))?(?:\(([^()]*)\))?")
"""Method, coefficients, parameters and pruning of a recipe in the tray."""


TAKEN_UP = (
    "addressed", "restored", "address_refused", "preferred", "view", "bounded", "wishes",
    "tray_address", "tray_unknown", "export_address",
    "compare_objective", "compare_show",
)  # fmt: skip
"""What a session keeps of the address that it began with, by its names in the session's state."""


def take_up_again() -> None:
    """A user went back or forward: the address is taken up as at first; sliders and choices are
    made again, since a widget that is there keeps what it shows."""
    for name in TAKEN_UP:
        st.session_state.pop(name, None)
    st.session_state["view_turn"] = st.session_state.get("view_turn", 0) + 1
    st.session_state["hand"] = Hand(generation=hand().generation + 1)
    st.session_state.pop("tray", None)


def came_back() -> bool:
    """Whether this run is the browser's way back or forward to an address it had before."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def of_recipe(recipe: Recipe, names: Names) -> dict[str, str | None]:
    """The parameters of an address that name a resolved recipe; None if nothing need be said."""
    method = METHODS[recipe.method]
    standard = default_parameters(method, names)
    coefficients = [f"{name}:{value:.6g}" for name, value in recipe.coefficients.items()]
    kinds = {each.name: each.kind for each in method.parameters}
    parameters = [
        f"{name}:{_written(kinds.get(name), value)}"
        for name, value in recipe.parameters.items()
        if value != standard.get(name) or recipe.unmerged is not None
    ]
    return {
        "method": recipe.method,
        "c": ",".join(coefficients) or None,
        "p": ",".join(parameters) or None,
        "prune": _pruning(recipe.prune),
    }


def _pruning(prune: Prune | None) -> str | None:
    return None if prune is None else f"{prune.objective}:{prune.ratio:.6g}:{prune.variant}"


def _prune(text: str) -> Prune | None:
    """What an address says of pruning; raises `BadInput`."""
    if not text:
        return None
    parts = text.split(":")
    if len(parts) != 3:
        what = f"{text!r} is not objective:ratio:variant"
        raise bad("address: prune", what, "Use a link that the app made.")
    objective, ratio, variant = parts
    data = {"objective": objective, "ratio": _number("prune", ratio), "variant": variant}
    return prune_from_dict(data, "address")


def to_recipe(asked: Mapping[str, str], names: Names) -> Recipe | None:
    """The resolved recipe that an address names; None if it names none.

    Raises:
        BadInput: it names one that this study cannot make.
    """
    if "method" not in asked:
        return None
    method = find_method(asked["method"], "address")
    kinds = {each.name: each.kind for each in method.parameters}
    parameters = {
        name: _value(kinds.get(name), name, value) for name, value in _pairs(asked.get("p", ""))
    }
    coefficients = {name: _number(name, value) for name, value in _pairs(asked.get("c", ""))}
    if not coefficients and method.takes_coefficients:
        return None
    prune = _prune(asked.get("prune", ""))
    return resolve(Recipe(method.name, coefficients, parameters, prune), names, "address")


def of_tray(
    recipes: Iterable[Recipe], measured: Measured, names: Names, point_of: Callable[[Recipe], str]
) -> str:
    """The tray as an address holds it: models by name, measured recipes by their point's id, others
    in full."""

    def text(recipe: Recipe) -> str:
        if recipe.unmerged is not None:
            return recipe.unmerged
        if (point := point_of(recipe)) in measured.row_of:
            return point
        said = of_recipe(recipe, names)
        c, p = ((said[each] or "").replace(",", ";") for each in ("c", "p"))
        if said["prune"]:
            return f"{recipe.method}({c})({p})({said['prune']})"
        return f"{recipe.method}({c})" + (f"({p})" if p else "")

    return ",".join(map(text, recipes))


def to_tray(text: str, measured: Measured, names: Names) -> tuple[list[Recipe], list[str]]:
    """Recipes that an address names, and what this study does not know."""
    found: list[Recipe | None] = []
    parts = [part for part in text.split(",") if part]
    for part in parts:
        if part in names.models:
            found.append(model_recipe(part, names))
        elif part in measured.row_of:
            found.append(measured.recipes[measured.row_of[part]])
        else:
            found.append(_mixture(part, names))
    unknown = [part for part, each in zip(parts, found, strict=True) if each is None]
    return [each for each in found if each is not None], unknown


def keep_tray(bench: Workbench) -> None:
    """The tray follows the address once a session, when points can be known; from then on the
    address follows the tray, on every page, so that a reload or a link brings it back."""
    measured = bench.measured()
    asked = st.session_state.setdefault("tray_address", st.query_params.get("points", ""))
    if "tray_unknown" not in st.session_state:
        if bench.known is None and asked:
            return
        found, unknown = to_tray(asked, measured, bench.names)
        for each in found:
            tray.add(each)
        st.session_state["tray_unknown"] = unknown
    text = of_tray(tray.tray(), measured, bench.names, bench.point_id) if tray.tray() else ""
    if text and st.query_params.get("points") != text:
        st.query_params["points"] = text
    elif not text and "points" in st.query_params:
        del st.query_params["points"]


def _mixture(text: str, names: Names) -> Recipe | None:
    read = MIXTURE.fullmatch(text)
    if read is None:
        return None
    method, c, p, prune = (each.replace(";", ",") for each in read.groups(""))
    try:
        return to_recipe({"method": method, "c": c, "p": p, "prune": prune}, names)
    except BadInput:
        return None


def _pairs(text: str) -> list[tuple[str, str]]:
    found = []
    for part in filter(None, text.split(",")):
        name, colon, value = part.rpartition(":")
        if not colon:
            raise bad("address", f"{part!r} is not name:value", "Use a link that the app made.")
        found.append((name, value))
    return found


def _written(kind: str | None, value: Any) -> str:
    """A parameter's value; of a text only what separates nothing in an address."""
    if kind == "text":
        return quote(value, safe=" ")
    return f"{value:.6g}" if isinstance(value, float) else f"{value}"


def _value(kind: str | None, name: str, text: str) -> str | float | bool:
    """A parameter's value as its kind is written."""
    if kind in ("choice", "model"):
        return text
    if kind == "text":
        return unquote(text)
    if kind == "flag" and text in ("True", "False"):
        return text == "True"
    return _number(name, text)


def _number(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise bad("address", f"{name}: {value!r} is not a number") from None
