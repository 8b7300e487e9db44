"""A table whose long paths are shortened in the middle: pointing at one shows all of it, and all of
it is copied.

Streamlit's own table scrolls sideways within its cell, and has no words for a cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import PurePath
from typing import Any

import streamlit as st

ENDING = 24
"""Letters of a path's end, at most, that are always seen; style.css leaves room for them."""


def ends(path: str) -> tuple[str, str]:
    """A path as two texts, of which the first gives way: the last names stay, as many as fit."""
    at = path.find("/", max(0, len(path) - ENDING))
    if at < 0:
        at = len(path) - ENDING
    return (path[:at], path[at:]) if at > 0 else ("", path)


def table(rows: Sequence[Mapping[str, Any]], *, paths: Sequence[str] = ()) -> None:
    """Draw it; a row a mapping, each with the same columns.

    Args:
        paths: the columns that hold paths.
    """
    st.html(markup(rows, paths), width="stretch")


def path(whole: PurePath) -> None:
    """One path in a line of its own."""
    st.html(f'<div class="listing">{_path(str(whole))}</div>', width="stretch")


def markup(rows: Sequence[Mapping[str, Any]], paths: Sequence[str] = ()) -> str:
    """The table as HTML; every text in it is a text."""
    names = list(rows[0]) if rows else []
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in names)
    body = "".join(
        f"<tr>{''.join(_cell(row[name], name in paths) for name in names)}</tr>" for row in rows
    )
    return f'<table class="listing"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _cell(value: Any, is_path: bool) -> str:
    text = str(value)
    if not is_path or "/" not in text:
        return f"<td>{escape(text)}</td>"
    return f'<td class="long">{_path(text)}</td>'


def _path(text: str) -> str:
    parts = "".join(f"<span>{escape(each)}</span>" for each in ends(text))
    return f'<span class="path" title="{escape(text)}">{parts}</span>'
