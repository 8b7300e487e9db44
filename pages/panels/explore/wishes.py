"""What is asked of the pick beside weights and bounds: constraints, accepted trades, a utility.

Three fields of the Preference tab, first filled from the address, else from the study file. Texts
are kept in `st.session_state["wishes"]`; what cannot be read is said below its field and not used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from engine.errors import BadInput
from engine.front.criteria import Criteria, criteria
from studio.workbench import Workbench
from ui.choices import remember, view_key
from ui.sliders import anchored

FIELDS: Mapping[str, tuple[str, str, str]] = {
    "constraints": (
        "Constraints", "2*facts - refusals >= 0.5",
        "Linear conditions on several objectives, one a line: sums of objectives times numbers, "
        ">= or <=",
    ),
    "cone": (
        "Trades you accept", "1 facts for 0.4 refusals",
        "One a line: losing 1 of an objective is made up for by gaining that much of another",
    ),
    "utility": (
        "Utility", "facts - max(0, 0.3 - refusals)",
        "A formula to be as large as possible, instead of weights: names of objectives (in "
        "backticks if they are not one word), numbers, + - * / **, min max abs log exp sqrt",
    ),
}  # fmt: skip
"""Field -> its label, an example, its help."""

PLACES = {"constraint": "Constraints", "cone": "Trades", "utility": "Utility"}


@dataclass(frozen=True)
class Wishes:
    """What the fields say.

    Attributes:
        criteria: what could be read.
        refused: field -> why it could not.
    """

    criteria: Criteria
    refused: Mapping[str, str]


def texts(bench: Workbench) -> dict[str, str]:
    """What is in the fields, of this browser session."""
    if "wishes" not in st.session_state:
        asked, own = st.session_state.get("addressed", {}), bench.study.criteria
        named = any(field in asked for field in FIELDS)
        found = {field: str(asked.get(field, "")) for field in FIELDS}
        if own is not None and not named:
            found["constraints"] = "\n".join(map(str, own.constraints))
            found["cone"] = "\n".join(map(str, own.trades))
            found["utility"] = own.utility.text if own.utility is not None else ""
        st.session_state["wishes"] = found
    kept: dict[str, str] = st.session_state["wishes"]
    return kept


def wishes(bench: Workbench) -> Wishes:
    """What is asked for now, over the study's objectives."""
    known, said = [each.name for each in bench.objectives], texts(bench)
    found, refused = Criteria(), dict[str, str]()
    for field in FIELDS:
        lines = [line.strip() for line in said[field].splitlines() if line.strip()]
        for line in [" ".join(lines)] if field == "utility" and lines else lines:
            given: dict[str, Any] = {field: line if field == "utility" else [line]}
            try:
                found = found.joined(criteria(known, **given, where=PLACES))
                criteria(known, cone=list(map(str, found.trades)), where=PLACES)
            except BadInput as error:
                refused[field] = "\n".join(filter(None, [refused.get(field), str(error)]))
    return Wishes(found, refused)


def _key(field: str) -> str:
    return view_key(f"wish:{field}")


def _remember(said: Mapping[str, str]) -> None:
    remember(**{field: said[field] or None for field in FIELDS})


def _heard(bench: Workbench, on_change: Callable[[], Any]) -> None:
    """All fields: what `on_change` draws again may end the turn before another one is heard. The
    address has them at once, as a reload may come before everything is drawn."""
    for field in FIELDS:
        if (key := _key(field)) in st.session_state:
            texts(bench)[field] = str(st.session_state[key] or "")
    _remember(texts(bench))
    on_change()


def fields(bench: Workbench, on_change: Callable[[], Any]) -> Wishes:
    """Draw the fields; what they say.

    Each drawing says what a field begins with: put into the state it would be said once, and a
    browser that lost that drawing to the next one would show the field empty.

    Args:
        on_change: called once what was written is in the state, before anything is drawn again.
    """
    now, said = wishes(bench), texts(bench)
    asked = sum(bool(each.strip()) for each in said.values())
    label = f"Constraints, trades, utility ({asked})" if asked else "Constraints, trades, utility"
    with st.expander(label, key="wishes_panel", expanded=bool(now.refused)):
        for field, (title, example, help) in FIELDS.items():
            key = _key(field)
            more: dict[str, Any] = {
                "value": anchored(key, said[field]), "key": key, "placeholder": example,
                "help": help, "on_change": _heard, "args": (bench, on_change),
            }  # fmt: skip
            if field == "utility":
                st.text_input(title, **more)
            else:
                st.text_area(title, height=68, **more)
            if field in now.refused:
                st.text(now.refused[field])
    _remember(said)
    return now
