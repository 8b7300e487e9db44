"""What is wrong with a field, beside it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.errors import Problem, first_problems


def beside(problems: Sequence[Problem]) -> None:
    """Every problem of one field, as text: a message may hold a stranger's words."""
    for each in first_problems(problems):
        in_study = ".yaml: " in each.where  # where the field would stand, which its place says
        place = f"{each.where}: " if "/" in each.where and not in_study else ""
        st.text(f"✗ {place}{each.what}. {each.fix}".strip())
