"""The first steps as a checklist that ticks itself until it is dismissed."""

from __future__ import annotations

import streamlit as st

from studio.workbench import Workbench
from ui import steps

FRAGMENT = "first_steps"


def one_minute(bench: Workbench) -> None:
    """The list and its Dismiss button; Help in the header brings it back."""
    _list(bench)


@st.fragment(key=FRAGMENT)
def _list(bench: Workbench) -> None:
    now = steps.taken(bench)
    if not now.shown:
        return
    steps.look(bench, bench.measured())
    items = "".join(
        f'<li data-taken="{str(name in now.steps).lower()}">{words}'
        f'<span class="unseen">{", done" if name in now.steps else ""}</span></li>'
        for name, words in steps.WORDS.items()
    )
    with st.container(horizontal=True, vertical_alignment="center", key="one_minute", gap="small"):
        st.html(f'<ol class="first-steps" aria-label="First steps">{items}</ol>', width="stretch")
        st.button(
            "Dismiss", key="dismiss", type="tertiary", icon=":material/close:",
            on_click=_dismiss, args=(bench,),
        )  # fmt: skip


def _dismiss(bench: Workbench) -> None:
    steps.show(bench, False)
    st.rerun()  # Help in the header says it too
