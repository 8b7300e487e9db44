"""The widget of a parameter, of a method or of a scorer: it says what the parameter does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import streamlit as st

from engine.parameter import Parameter
from studio.study_editor import text_of, texts_of

ESCAPED = r"One per line; \n within a line stands for a line break"


def parameter_field(
    each: Parameter,
    value: Any,
    models: Sequence[str],
    key: str,
    persist: Literal["session"] | None = None,
    *,
    lines: Sequence[str] = (),
) -> Any:
    """Draw the widget; what stands in it.

    Args:
        value: what it is made with; another makes it again.
        models: what a parameter that names a model of the family may name; none: any text.
        persist: as Streamlit's `persist_state`.
        lines: what stands at first in the area of a parameter that is a list of texts.
    """
    label = each.name.replace("_", " ")
    if each.kind == "flag":
        return st.checkbox(label, value=bool(value), key=key, help=each.help, persist_state=persist)
    if each.kind == "choice" or (each.kind == "model" and models):
        options = list(each.choices if each.kind == "choice" else models)
        index = options.index(value) if value in options else None
        return st.selectbox(
            label, options, index=index, key=key, help=each.help, persist_state=persist
        )
    if each.kind == "texts":
        shown = ", ".join(value[:3]) if value else ""
        empty = f" Leave empty for the default list ({shown}, …)." if shown else ""
        help = f"{each.help}\n\n{ESCAPED}.{empty}"
        text = st.text_area(
            label, value=text_of(lines), key=key, help=help, height=90, persist_state=persist
        )
        return tuple(texts_of(text))
    if each.kind in ("text", "directory", "model"):
        return st.text_input(
            label, value=value or "", key=key, help=each.help, persist_state=persist
        )
    low, high = each.limits.low, each.limits.high
    cast = int if each.kind == "int" else float
    number: dict[str, Any] = {
        "min_value": cast(low) if math.isfinite(low) else None,
        "max_value": cast(high) if math.isfinite(high) else None,
        "value": None if value is None else cast(value),
        "step": cast(1 if each.kind == "int" else 0.01),
        "format": "%d" if each.kind == "int" else "%.4g",
    }
    return st.number_input(label, key=key, help=each.help, persist_state=persist, **number)
