"""A field for a path on this server, and a way to find it: the path as breadcrumbs, what lies
there, and which of it is a model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from studio.browsing import listing, start_of

_MARKUP = re.compile(r"([\\`*_\[\]<>#|$~:&^])")


def field(
    label: str,
    key: str,
    *,
    place: DeltaGenerator | None = None,
    endings: tuple[str, ...] = (),
    new: str = "",
    **settings: Any,
) -> str:
    """A text field for a path, with *Browse* beside it; what it holds.

    Args:
        place: where it is drawn; here by default.
        endings: of the files that can be chosen; a directory is chosen if none is given.
        new: the name of a directory that is to be made in the one that is chosen.
    """
    if key in st.session_state:  # what stands in it; a first value beside that is a second one
        settings.pop("value", None)
    with (place or st.container()).container(gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            typed = st.text_input(label, key=key, **{"persist_state": "session", **settings})
            button(label, key, typed)
        picker(label, key, endings, new)
    return typed


def button(label: str, key: str, typed: str) -> None:
    """Opens and closes the picker of a field."""
    st.button(
        "Browse", key=f"browse_open:{key}", on_click=_toggle, args=(key, typed),
        help=f"Browse this server: {label}",
    )  # fmt: skip


def picker(label: str, key: str, endings: tuple[str, ...] = (), new: str = "") -> None:
    """The directory that is looked into, while a user browses for a field.

    Args:
        endings, new: as of `field`.
    """
    at = st.session_state.get(_at(key))
    if at is None:
        return
    found = listing(Path(at), endings)
    with st.container(border=True, gap="xsmall", key=f"browse:{key}"):
        with st.container(horizontal=True, gap="xsmall", key=f"browse_crumbs:{key}"):
            for depth, (name, path) in enumerate(found.crumbs):
                st.button(
                    plain(name), key=f"browse_crumb:{key}:{depth}", on_click=_go, args=(key, path),
                    type="tertiary",
                )  # fmt: skip
        if found.problem:
            st.text(found.problem)
            return
        st.selectbox(
            f"In {found.path.name or found.path}" if found.entries else "Nothing to choose here",
            range(len(found.entries)), index=None, key=f"browse_in:{key}:{at}",
            format_func=lambda row: str(found.entries[row]), on_change=_enter,
            args=(key, f"browse_in:{key}:{at}", found.entries), disabled=not found.entries,
            placeholder="Type part of a name, or choose",
        )  # fmt: skip
        if found.left_out:
            st.text(f"{found.left_out} more are not listed: type the path.")
        with st.container(horizontal=True, vertical_alignment="center"):
            if not endings or found.holds == "a study":
                st.button(
                    f"Choose a new {plain(new)} in it" if new else "Choose this directory",
                    key=f"browse_take:{key}", on_click=_take, args=(key, found.path / new),
                    type="primary" if found.holds or new else "secondary",
                )  # fmt: skip
            st.button("Close", key=f"browse_close:{key}", on_click=_close, args=(key,))
            st.text(f"It contains {found.holds}." if found.holds else "")


def _at(key: str) -> str:
    return f"browse_at:{key}"


def _toggle(key: str, typed: str) -> None:
    if _at(key) in st.session_state:
        _close(key)
        return
    last = st.session_state.get("browse_last")
    _go(key, start_of(typed, [*([Path(last)] if last else []), Path.home()]))


def _go(key: str, path: Path) -> None:
    st.session_state[_at(key)] = st.session_state["browse_last"] = str(path)


def _enter(key: str, widget: str, entries: Sequence[Any]) -> None:
    row = st.session_state.get(widget)
    if row is None:
        return
    chosen = entries[row]
    if chosen.is_file:
        _take(key, chosen.path)
    else:
        _go(key, chosen.path)


def _take(key: str, path: Path) -> None:
    st.session_state[key] = str(path)
    _close(key)


def _close(key: str) -> None:
    st.session_state.pop(_at(key), None)


def plain(text: str) -> str:
    """A text that a label shows as it is."""
    return _MARKUP.sub(r"\\\1", text)
