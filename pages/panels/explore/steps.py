"""The one-minute path: what to try first, until a person dismisses it for this workspace."""

from __future__ import annotations

import time

import streamlit as st

from studio.workbench import Workbench

STEPS = (
    "Move a slider: the hollow mark is predicted",
    "Evaluate: it becomes a measured point",
    "Preference: say what counts, take the pick",
    "Compare its answers",
    "Export it",
)


def _dismissed(bench: Workbench) -> bool:
    if "dismissed" not in st.session_state:
        settings = bench.store.records("setting")
        st.session_state["dismissed"] = any(each["id"] == "one-minute" for each in settings)
    return bool(st.session_state["dismissed"])


def _dismiss(bench: Workbench) -> None:
    st.session_state["dismissed"] = True
    bench.store.append([{"kind": "setting", "id": "one-minute", "at": time.time()}])


def one_minute(bench: Workbench) -> None:
    """Five steps in one line each, with a way to be rid of them."""
    if _dismissed(bench):
        return
    with st.container(horizontal=True, vertical_alignment="center", key="one_minute", gap="small"):
        st.text(
            "One minute.  " + "  ".join(f"{n} {step}." for n, step in enumerate(STEPS, 1)),
            width="stretch",
        )
        st.button(
            "Dismiss", key="dismiss", type="tertiary", icon=":material/close:",
            on_click=_dismiss, args=(bench,),
        )  # fmt: skip
