"""What a person sees of an error that no page foresaw: our own words, and ways on.

    page, fragment, callback ──raises──► Streamlit logs it ──► `told` draws what stands below

Streamlit would show a box of its own, which offers to ask search engines about the person's files.
It stands behind what the page or the fragment had drawn when it failed; after a callback nothing
else is drawn. A place for it at the page's top would be an element that each run takes away and
puts back, and a click that comes between is lost.
"""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

import streamlit as st
from streamlit.errors import StreamlitAPIException

from engine.errors import BadInput, ParetoscopeError, Problem, first_problems, shown

log = logging.getLogger(__name__)

PAGES = Path(__file__).resolve().parents[1]

HAPPENED = "Something happened here that was not foreseen."
SAFE = (
    "Points measured so far are safe: they were on disk before they were shown. What the worker "
    "computes goes on."
)
LONGEST = 6000
"""Characters of the details: the end of a traceback is what tells."""


def details(error: BaseException) -> str:
    """The traceback as text that can be copied: only characters that are seen."""
    text = "".join(traceback.format_exception(error))
    return shown(text[-LONGEST:], lines=True, most=None)


def problems_of(error: BaseException) -> tuple[Problem, ...]:
    """What is to be mended, where an error says so itself."""
    return first_problems(error.problems) if isinstance(error, BadInput) else ()


def summary(error: BaseException) -> str:
    """The error in one line."""
    said = shown(str(error).strip().partition("\n")[0][:300])
    if isinstance(error, ParetoscopeError):
        return said
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def told(error: Exception) -> bool:
    """Streamlit's `on_script_error`: draw the error; True, so that Streamlit draws none."""
    try:
        _draw(error)
    except Exception:  # the page is no place to draw in; a line always is
        log.exception("an error could not be shown")
        st.text(f"{HAPPENED} {summary(error)}")
    return True


def _draw(error: Exception) -> None:
    with st.container(border=True):
        st.error(HAPPENED, icon=":material/error:")
        problems = problems_of(error)
        for problem in problems:
            st.code(str(problem), language=None, wrap_lines=True)
        if not problems:
            st.code(summary(error), language=None, wrap_lines=True)
        st.text(SAFE)
        with st.container(horizontal=True, vertical_alignment="center"):
            _link("explore", "Reload", st.query_params.to_dict())
            _link("models", "Open another study", {})
        with st.expander("Details to copy"):
            st.text("They are on the server's standard error too.")
            st.code(details(error), language=None, wrap_lines=True)


def _link(name: str, label: str, parameters: dict[str, str]) -> None:
    """A link to a page; none where the pages are not known yet."""
    try:
        st.page_link(PAGES / f"{name}.py", label=label, query_params=parameters)
    except StreamlitAPIException:
        st.text(f"{label}: reload this address in the browser.")
