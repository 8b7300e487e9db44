"""Problems of a form, each shown next to its field until the field changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from engine.counted import counted
from engine.errors import Problem, first_problems

MARK = "✗"

MANY = 3
"""Problems of one field that stand below each other; more scroll in a part of their own."""

BEGINNINGS = ("it", "no", "not", "the", "there", "this", "a", "an", "expected", "cannot")
"""Words with which a problem begins that begins with no name, of a tensor or an option."""

Wrong = dict[str, tuple[Any, Sequence[Problem]]]
"""Field -> (what it held, its problems)."""


def keep(form: str, found: Mapping[str, Sequence[Problem]], values: Mapping[str, Any]) -> None:
    """Remember the problems of a form; none forgets them.

    Args:
        found: field -> its problems; "" has those of no field.
        values: field -> what it holds.
    """
    st.session_state[_key(form)] = {
        field: (values.get(field), problems) for field, problems in found.items()
    }


def forget(form: str) -> None:
    """Nothing is wrong with a form that nobody has checked."""
    st.session_state.pop(_key(form), None)


def below(form: str, field: str, value: Any) -> None:
    """The problems of one field, where it still holds what they were found in."""
    held, problems = _wrong(form).get(field, (None, ()))
    if problems and held == value:
        with st.container(gap="xsmall", key=f"wrong:{form}:{field}"):
            if len(problems) <= MANY:
                _said(problems)
            else:
                st.text(f"{len(problems)} problems:")
                with st.container(height=150, border=False):
                    _said(problems)


def many(form: str) -> str:
    """How many problems there are, in words; "" for none."""
    count = sum(len(problems) for _, problems in _wrong(form).values())
    return f"{counted(count, 'problem')}, shown next to the fields." if count else ""


def of_no_field(form: str) -> Sequence[Problem]:
    """The problems that belong to no field."""
    return _wrong(form).get("", (None, ()))[1]


def _key(form: str) -> str:
    return f"{form}_wrong"


def _wrong(form: str) -> Wrong:
    found: Wrong = st.session_state.get(_key(form), {})
    return found


def _said(problems: Sequence[Problem]) -> None:
    """Every problem of one field, as plain text: a message may contain untrusted data."""
    for each in first_problems(problems):
        in_study = ".yaml: " in each.where  # where the field would stand, which its place says
        where = each.where.partition(": ")[2] if each.where.startswith("objective ") else each.where
        place = f"{where}: " if "/" in where and not in_study else ""
        what = each.what if place else _as_sentence(each.what)
        st.text(f"{MARK} {place}{what}. {each.fix}".strip())


def _as_sentence(text: str) -> str:
    """With a capital, where its first word is a word and no name."""
    first = text.partition(" ")[0]
    return f"{text[0].upper()}{text[1:]}" if first in BEGINNINGS else text
