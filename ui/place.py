"""Which page a run draws, and how to return to it when Streamlit has lost it.

    browser, on Explore      ── run of the header ────►┐
    server: st.switch_page to Export, drawn whole      │ late, still of Explore
    browser: the new page … thrown away ◄── header ────┘ run as a fragment of Explore

After a `st.switch_page` the browser goes on sending what belongs to the page before, until it has
heard of the switch. Streamlit 1.67 answers such a message with a run of the page before; seeing
that name the browser empties the page, and where the message asked for a fragment, nothing but that
fragment is drawn again. The header has the same name on every page and runs whenever there is news,
so it is what comes late, and where it can be seen.

A link (`st.page_link`) has no such gap: the browser leaves the page before it asks for the next.
"""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx


def running() -> str:
    """Streamlit's name of the page that this run belongs to."""
    context = get_script_run_ctx()
    return context.page_script_hash if context is not None else ""


def file_here() -> str:
    """The file of the page that this run belongs to; empty if Streamlit knows no pages yet."""
    context = get_script_run_ctx()
    pages = context.pages_manager.get_pages() if context is not None else {}
    here = pages.get(running())
    return here["script_path"] if here else ""


@dataclass(frozen=True)
class Place:
    """A page as it was drawn.

    Attributes:
        name: of its file in pages/.
        run: Streamlit's name of the page that the run belonged to.
        parameters: of its address.
    """

    name: str
    run: str
    parameters: dict[str, str]

    @classmethod
    def here(cls, name: str) -> Place:
        """The page that this run draws."""
        return cls(name, running(), st.query_params.to_dict())

    @property
    def left(self) -> bool:
        """Whether this run belongs to another page than the one drawn."""
        return running() != self.run
