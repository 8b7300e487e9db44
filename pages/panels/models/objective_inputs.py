"""The fields of an objective, which follow its scorer, each with what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from engine.scoring.registry import OF, Scorer, find_scorer
from pages.panels.models import data_form, wrong
from studio.browsing import DATA
from studio.glossary import WORDS
from studio.objective_fields import held_of
from studio.study_editor import (
    document_of,
    generates,
    kept_of,
    scorer_text,
    scorers,
    text_of,
    texts_of,
)
from ui import browse
from ui.parameter import ESCAPED, parameter_field

NEW: Mapping[str, Any] = {}

FORMATS = (
    "JSON Lines, JSON, CSV, TSV or Parquet, also gzipped, on this server; a relative path is "
    "relative to the study file"
)

OVER = (
    "Prompts over which the cost is counted: needed for gated, whose models run only where they "
    f"are asked, as the answers say. {FORMATS}"
)

Places = dict[str, DeltaGenerator]
"""Field -> where what is wrong with it is said."""


def _common(scorer: Scorer, key: str, start: Mapping[str, Any], places: Places) -> dict[str, Any]:
    """The fields that any objective with data has."""
    values: dict[str, Any] = {}
    left, right = st.columns(2)
    values["chat"] = left.checkbox(
        "Use the chat template", bool(start.get("chat", False)), key=f"{key}:chat",
        persist_state="session",
        help="Wraps each prompt as one user message; otherwise the prompt is fed as plain text",
    )  # fmt: skip
    places["chat"] = left.container()
    if generates(scorer):
        values["max_new_tokens"] = left.number_input(
            "Max new tokens",
            min_value=1,
            value=int(start.get("max_new_tokens", 64)),
            key=f"{key}:max_new_tokens",
            persist_state="session",
        )
        places["max_new_tokens"] = left.container()
        stops = start.get("stop", [])
        stop = right.text_area(
            "Stop strings", text_of([stops] if isinstance(stops, str) else stops),
            key=f"{key}:stop",
            persist_state="session", help=ESCAPED, height=90,
        )  # fmt: skip
        values["stop"] = texts_of(stop)
        places["stop"] = right.container()
        values["temperature"] = left.number_input(
            "Temperature", min_value=0.0, value=float(start.get("temperature", 0.0)), step=0.1,
            key=f"{key}:temperature", persist_state="session", format="%.2f",
            help="0 always takes the likeliest token; several samples of a prompt need more",
        )  # fmt: skip
        places["temperature"] = left.container()
    values["limit"] = left.number_input(
        "Max examples", min_value=1, value=start.get("limit"), key=f"{key}:limit",
        persist_state="session", placeholder="all",
        help="A stable subset, chosen by a hash of the prompt",
    )  # fmt: skip
    places["limit"] = left.container()
    values["report_fraction"] = right.number_input(
        "Share held back for the report", min_value=0.0, max_value=1.0,
        value=float(start.get("report_fraction", 0.3)), step=0.05,
        key=f"{key}:report_fraction", persist_state="session", format="%.2f",
        help="Not used for exploring; scored once, when a point is exported",
    )  # fmt: skip
    places["report_fraction"] = right.container()
    return values


def fields(
    key: str,
    beside: Path,
    form: str,
    start: Mapping[str, Any] = NEW,
    within: str = "",
    models: Sequence[str] = (),
) -> dict[str, Any]:
    """Draw the fields, each with what is wrong with it; the item of `objectives:` they amount to.

    Args:
        key: what the keys of the widgets begin with.
        beside: the study file, to which a relative path of data is relative.
        form: that `wrong` knows the problems of.
        start: an item that the fields hold at first; what they have no place for stays in it.
        models: names of the family, for options that name one.
        within: what the names of the fields begin with, in that form.
    """
    left, right = st.columns(2)
    places: Places = {}
    values: dict[str, Any] = {
        "name": left.text_input(
            "Objective name",
            start.get("name", ""),
            key=f"{key}:name",
            persist_state="session",
            help=WORDS["objective"],
        )
    }
    places["name"] = left.container()
    name = right.selectbox(
        "Scorer", scorers(), scorers().index(start["scorer"]) if start else 0, key=f"{key}:scorer",
        persist_state="session", help=WORDS["scorer"],
    )  # fmt: skip
    places["scorer"] = right.container()
    scorer = find_scorer(name)
    kept, own = kept_of(start, scorer), start if start.get("scorer") == name else NEW
    values["scorer"] = name
    st.text(scorer_text(name))
    without = scorer.kind == "none"
    values["data"] = ""
    if scorer.kind not in OF:
        values["data"] = browse.field(
            "Data file (optional)" if without else "Data file", f"{key}:data", endings=DATA,
            value=start.get("data", ""), placeholder="/data/questions.jsonl",
            help=OVER if without else FORMATS,
        )  # fmt: skip
    places["data"] = st.container()
    asked = not (scorer.exact or scorer.kind in OF) or bool(values["data"].strip())
    place = st.container()
    for each in scorer.options:
        texts = each.kind == "texts"
        value = each.default if texts else own.get(each.name, each.default)
        lines = own.get(each.name) or () if texts else ()
        values[each.name] = parameter_field(
            each, value, models, f"{key}:{name}:{each.name}", "session", lines=lines
        )
        places[each.name] = st.container()
    if asked:
        with place:
            known = {**kept, **document_of(values)}
            values |= data_form.show(known, f"{key}:{name}", beside)
    ways = ["maximize", "minimize"]
    values["direction"] = st.radio(
        "Direction", ways, index=ways.index(own.get("direction") or scorer.direction),
        horizontal=True,
        format_func=lambda way: f"{way} (as usual)" if way == scorer.direction else way,
        key=f"{key}:{name}:direction", persist_state="session",
    )  # fmt: skip
    places["direction"] = st.container()
    if asked:
        values |= _common(scorer, key, start, places)
    if kept:
        st.text(f"Kept as in the study file: {', '.join(kept)}.")
    document = document_of(values)
    document |= {each: kept[each] for each in kept if each not in document}
    held = held_of(document)
    for field, place in places.items():
        with place:
            wrong.below(form, f"{within}{field}", held[field])
    return document
