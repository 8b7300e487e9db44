"""The tray in the header of every page: its contents, removal, adding models and front points."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from engine.recipe import Recipe
from studio.compare import comparing
from studio.decide.front import names_text
from studio.points.titles import titled
from studio.workbench import Workbench
from ui import tray
from ui.choices import visible
from ui.front import front_axes


def _add(key: str, options: Sequence[Recipe]) -> None:
    chosen = st.session_state[key]
    if chosen is not None:
        tray.add(options[chosen])
    st.session_state["add_generation"] = st.session_state.get("add_generation", 0) + 1


def adder(bench: Workbench, name: str, label: str) -> None:
    """A selectbox of the models and the points of the front, to put into the tray.

    Args:
        name: of this selectbox among those on a page.
        label: what it says.
    """
    measured = visible(bench)
    full = len(tray.tray()) >= tray.LIMIT
    over = front_axes(bench)
    offered = comparing.offered(measured, over, bench.names)
    options = [each for each in offered if each not in tray.tray()]
    key = f"{name}:{st.session_state.get('add_generation', 0)}"
    st.selectbox(
        label, range(len(options)), index=None, key=key,
        format_func=lambda place: titled(bench, options[place]),
        placeholder="The tray is full" if full else f"{len(options)} to choose from",
        disabled=full, on_change=_add, args=(key, options),
        help=f"The front over {names_text(over)}, as on Explore. For any other recipe, press "
        "Compare next to its sliders",
    )  # fmt: skip


def menu(bench: Workbench, compare: Path) -> None:
    """The tray as a popover.

    Args:
        compare: the page that shows the answers.
    """
    recipes = tray.tray()
    with st.popover(f"Tray {len(recipes)} of {tray.LIMIT}", key="tray_menu", width="content"):
        if not recipes:
            st.text("Recipes whose answers to compare: up to four.")
        for place, recipe in enumerate(recipes):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.text(titled(bench, recipe), width="stretch")
                st.button(
                    f"Remove {place + 1}", key=f"tray_out:{recipe.key}", type="tertiary",
                    on_click=tray.remove, args=(recipe,),
                )  # fmt: skip
        adder(bench, "tray_add", "Add a model or a point to the tray")
        st.page_link(compare, label="Compare their answers", disabled=not recipes)
