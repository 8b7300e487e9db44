"""The tray: up to four recipes to compare, filled from any page, kept with the browser session."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from engine.recipe import Recipe

LIMIT = 4


def tray() -> list[Recipe]:
    """What is in it, in the order added. Resolved recipes; measured or not."""
    found: list[Recipe] = st.session_state.setdefault("tray", [])
    return found


def add(recipe: Recipe) -> bool:
    """Whether the recipe is in the tray now: one that is there already stays once."""
    if recipe in tray():
        return True
    if len(tray()) >= LIMIT:
        return False
    tray().append(recipe)
    return True


def remove(recipe: Recipe) -> None:
    if recipe in tray():
        tray().remove(recipe)


def toggle(now: Callable[[], Recipe | None]) -> None:
    """Remove the recipe where it is there, else add it."""
    recipe = now()
    if recipe is None:
        return
    if recipe in tray():
        remove(recipe)
    else:
        add(recipe)


def toggle_button(recipe: Recipe, key: str, now: Callable[[], Recipe | None]) -> None:
    """A button that puts a recipe into the tray or takes it out; says how full the tray is.

    Args:
        now: the recipe at the moment of the press, which may be another than was drawn; None if
            there is none.
    """
    there = recipe in tray()
    full = len(tray()) >= LIMIT and not there
    st.button(
        "In tray" if there else "Compare",
        key=key,
        icon=":material/check:" if there else None,
        width="stretch",
        disabled=full,
        help="The tray is full: remove one on Compare" if full
        else f"Remove it from the tray ({len(tray())} of {LIMIT})" if there
        else "Add it to the tray: Compare shows up to four recipes' answers side by side",
        on_click=toggle,
        args=(now,),
    )  # fmt: skip
