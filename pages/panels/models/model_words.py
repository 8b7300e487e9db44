"""The fields of a new study for what single models read of their own: a chat template, a system
prompt, a prefix."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from pages.panels.models import wrong
from studio.browsing import TEMPLATES
from ui import browse

LABEL = "Chat template, system prompt and prefix of single models (optional)"
KEYS = ("words_template", "words_system", "words_prefix")
HEIGHT = 68
"""Of a field for two lines, in pixels: the least that Streamlit draws."""


def fields(
    form: str, rows: Sequence[int], experts: Sequence[tuple[str, str]], target: bool
) -> dict[str, dict[str, str]]:
    """Draw three fields a model, each model's with what is wrong with them; what was typed.

    Args:
        rows: the number of each expert's row, which stays its own when another is removed.
        experts: name and directory of each row.
        target: whether there is one.

    Returns:
        "base", "target" or "expert:PLACE" -> template, system, prefix.
    """
    models = {"base": ("base", "base")}
    if target:
        models["target"] = ("target", "target")
    for place, (row, (name, directory)) in enumerate(zip(rows, experts, strict=True)):
        if name.strip() or directory.strip():
            models[f"expert:{place}"] = (f"expert:{row}", name.strip() or f"expert {place + 1}")
    typed = any(
        st.session_state.get(f"{each}:{key}") for key, _ in models.values() for each in KEYS
    )
    with st.expander(LABEL, expanded=typed):  # what is wrong stands in it
        st.text(
            "For models that were trained on other prompts than the family. A model reads its own "
            "alone and in logit space; merged weights read the family's."
        )
        return {model: _of(form, model, key, name) for model, (key, name) in models.items()}


def _of(form: str, model: str, key: str, name: str) -> dict[str, str]:
    """The fields of one model."""
    file, system, prefix = st.columns([4, 3, 3])
    shown = browse.plain(name)
    found = {
        "template": browse.field(
            f"Chat template of {shown}", f"words_template:{key}", place=file, endings=TEMPLATES,
            placeholder="the family's", help="A Jinja file on this server",
        ),
        "system": system.text_area(
            f"System prompt of {shown}", key=f"words_system:{key}", persist_state="session",
            height=HEIGHT, placeholder="none",
            help="The system message of its chats; one that a conversation has follows it",
        ),
        "prefix": prefix.text_area(
            f"Prefix of {shown}", key=f"words_prefix:{key}", persist_state="session",
            height=HEIGHT, placeholder="none",
            help="Stands before a prompt that is fed without a chat template, as it is typed: "
            "spaces and line breaks at its end count",
        ),
    }  # fmt: skip
    wrong.below(form, f"words:{model}", found)
    return found
