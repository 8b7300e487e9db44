"""Help in the header of every page: the checklist of the first steps, and the words."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from studio.glossary import page
from studio.workbench import Workbench
from ui import steps


def menu(bench: Workbench, explore: Path) -> None:
    """Help as a popover.

    Args:
        explore: the page that shows the checklist.
    """
    with st.popover("Help", key="help_menu", width="content"):
        now = steps.taken(bench)
        st.text(f"First steps: {len(now.steps)} of {len(steps.WORDS)} done.")
        if now.shown:
            st.page_link(explore, label="See them on Explore")
        elif st.button("Show them on Explore", key="show_steps"):
            steps.show(bench, True)
            st.switch_page(explore)
        with st.container(key="glossary"):
            st.markdown(page())
