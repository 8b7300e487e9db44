"""What a user sees of an unexpected error: the app's own message, and how to continue.

    page, fragment ──raises──► Streamlit logs it ──► `told` draws it, behind what was drawn
    callback       ──raises──► `keep` ──► the page is drawn whole, `show_kept` below its header

Streamlit would show a box of its own, which offers to ask search engines about the person's files.
After a callback that fails it would draw no page either (see streamlit_faults.py); what is kept of
it stays on its page until it is closed.
"""

from __future__ import annotations

import logging
import traceback
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from streamlit.errors import StreamlitAPIException

from engine.errors import BadInput, ParetoscopeError, first_problems, shown
from ui.place import file_here, running

log = logging.getLogger(__name__)

PAGES = Path(__file__).resolve().parents[1] / "pages"

HAPPENED = "Something unexpected happened here."
SAFE = (
    "Points measured so far are safe: they were on disk before they were shown. The worker keeps "
    "running."
)
KEPT = "unforeseen"
LONGEST = 6000
"""Characters of the details: the end of a traceback is what tells."""


def details(error: BaseException) -> str:
    """The traceback as text that can be copied: only characters that are seen."""
    text = "".join(traceback.format_exception(error))
    return shown(text[-LONGEST:], lines=True, most=None)


def problems_of(error: BaseException) -> tuple[str, ...]:
    """What is to be repaired, where an error says so itself; else the error in one line."""
    if isinstance(error, BadInput):
        return tuple(map(str, first_problems(error.problems)))
    said = shown(str(error).strip().partition("\n")[0][:300])
    if isinstance(error, ParetoscopeError):
        return (said,)
    return (f"{type(error).__name__}: {said}" if said else type(error).__name__,)


@dataclass(frozen=True)
class Failure:
    """What is said of an error.

    Attributes:
        said: a line each.
        details: to be copied.
        run: Streamlit's name of the page that it happened on.
    """

    said: tuple[str, ...]
    details: str
    run: str

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        return cls(problems_of(error), details(error), running()[1])


def keep(error: Exception) -> None:
    """A callback raised: log it, and keep what is said of it for the page that is drawn next."""
    log.error("a callback failed", exc_info=error)
    st.session_state[KEPT] = Failure.of(error)


def show_kept() -> None:
    """What is kept of a callback that failed on this page, until a user closes it."""
    kept: Failure | None = st.session_state.get(KEPT)
    if kept is not None and kept.run != running()[1]:
        del st.session_state[KEPT]
    elif kept is not None:
        _draw(kept, kept=True)


def _close() -> None:
    st.session_state.pop(KEPT, None)


def told(error: Exception) -> bool:
    """Streamlit's `on_script_error`: draw the error; True, so that Streamlit draws none."""
    try:
        _draw(Failure.of(error))
    except Exception:  # the page is no place to draw in; a line always is
        log.exception("an error could not be shown")
        st.text(f"{HAPPENED} {problems_of(error)[0]}")
    return True


def _draw(failure: Failure, *, kept: bool = False) -> None:
    with st.container(border=True):
        st.error(HAPPENED, icon=":material/error:")
        for each in failure.said:
            st.code(each, language=None, wrap_lines=True)
        st.text(SAFE)
        with st.container(horizontal=True, vertical_alignment="center"):
            if kept:
                st.button("Close", key="close_unforeseen", on_click=_close)
            else:
                here = file_here() or str(PAGES / "explore.py")
                _link(here, "Reload", st.query_params.to_dict())
            _link(str(PAGES / "models.py"), "Open another study", {})
        with st.expander("Details to copy"):
            st.text("They are also on the server's standard error.")
            st.code(failure.details, language=None, wrap_lines=True)


def _link(file: str, label: str, parameters: dict[str, str]) -> None:
    """A link to a page; none where the pages are not known yet."""
    try:
        st.page_link(file, label=label, query_params=parameters)
    except StreamlitAPIException:
        st.text(f"{label}: reload this address in the browser.")
