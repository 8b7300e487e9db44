"""The data part of an objective's form: the file's format, its first rows as they will be read, and
fields to override that."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from studio.data_preview import ANSWER_WORDS, Seen, chosen_columns, see
from ui import frame as state

AS_FOUND = "as recognised"
ALL_ROWS = "all rows"


def show(document: Mapping[str, Any], key: str, beside: Path) -> dict[str, Any]:
    """Draw it under the data file's field; the options that it adds to the document.

    Args:
        document: name, scorer with its options, and data, as typed.
        beside: the study file, to which a relative path is relative.
    """
    with st.spinner("Reading the data", show_time=False):
        plain = see(document, beside)
    if plain is None:
        return {}
    with st.container(border=True, gap="small"):
        place = st.container(gap="small")
        chosen = _fields(plain, f"{key}:columns") if plain.columns else {}
        options = chosen_columns(chosen, plain.mapping)
        seen = see({**document, **options}, beside) if options else plain
        with place:
            _result(seen or plain)
    return options


def _result(seen: Seen) -> None:
    """What was recognised, or why it is not certain; then the rows."""
    if seen.sentence:
        st.text(seen.sentence)
    if seen.problems:
        st.warning("This data cannot be used yet.", icon=":material/help:")
        state.show_problems(seen.problems[:2])
        if len(seen.problems) > 2:
            st.text(f"{len(seen.problems) - 2} more problems like these.")
    if seen.table:
        st.caption(
            f"Columns in the file: {', '.join(seen.names)}. The first rows as they are read:"
        )
        small = st.column_config.NumberColumn(width="small")
        st.dataframe(
            pd.DataFrame(list(seen.table)), hide_index=True,
            column_config={"line": small, "row": small},
        )  # fmt: skip


def _fields(seen: Seen, key: str) -> dict[str, Any]:
    """Fields that choose columns; what was chosen."""
    chosen: dict[str, Any] = {}
    columns = list(seen.columns)
    # open where the file alone does not say it; a user's own opening stays
    with st.expander("Choose columns", expanded=not seen.table, key=f"{key}:open"):
        left, right = st.columns(2)
        chosen["prompt"] = left.multiselect(
            "Prompt", columns, key=f"{key}:prompt", persist_state="session",
            placeholder=AS_FOUND, help="Several columns are joined, one below the other",
        )  # fmt: skip
        chosen["messages"] = right.selectbox(
            "Conversation instead of a prompt", columns, index=None, key=f"{key}:messages",
            persist_state="session", placeholder=AS_FOUND,
            help="A column of messages, or of lists of turns",
        )  # fmt: skip
        if seen.use in ("answer", "likelihood"):
            chosen["targets"] = left.multiselect(
                "Target", columns, key=f"{key}:targets", persist_state="session",
                placeholder=AS_FOUND, help="If there are several, each is accepted",
            )  # fmt: skip
        if seen.use == "choices":
            chosen["choices"] = left.multiselect(
                "Choices", columns, key=f"{key}:choices", persist_state="session",
                placeholder=AS_FOUND, help="One column with a list, or one column per choice",
            )  # fmt: skip
            chosen["answer"] = right.selectbox(
                "Correct choice", columns, index=None, key=f"{key}:answer",
                persist_state="session", placeholder=AS_FOUND,
            )  # fmt: skip
            chosen["answer_is"] = right.selectbox(
                "Correct choice given as", list(ANSWER_WORDS), index=None,
                format_func=lambda each: ANSWER_WORDS[each], key=f"{key}:answer_is",
                persist_state="session", placeholder=AS_FOUND,
            )  # fmt: skip
        if seen.values:
            column = left.selectbox(
                "Filter rows by column", list(seen.values), index=None, key=f"{key}:rows",
                persist_state="session", placeholder=ALL_ROWS,
            )  # fmt: skip
            if column is not None:
                values = right.multiselect(
                    f"Keep rows where {column} is", list(seen.values[column]),
                    key=f"{key}:rows:{column}", persist_state="session", placeholder=ALL_ROWS,
                )  # fmt: skip
                chosen["rows"] = {column: values} if values else {}
    return chosen
