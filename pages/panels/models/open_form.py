"""The ways to another study: the demo, a study file, recent ones, directories of models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from engine.errors import BadInput
from pages.panels.models import objective_form
from studio import modelling
from studio.opening import (
    Draft,
    check_draft,
    read_study,
    recent_studies,
    typed_path,
    write_study,
)
from ui import frame as state
from ui import opened

COST = {"name": "cost", "scorer": "cost"}
OWN = "an objective of your own"


def show(current: Path | None = None) -> None:
    """Draw all of them.

    Args:
        current: the study file that is open, which is not offered.
    """
    left, right = st.columns(2, gap="large")
    with left:
        _by_path(current)
    with right:
        _recent(current)
    with st.container(border=True, key="new_study"):
        st.text("A new study from directories of models")
        _from_directories()


def _open(path: Path) -> None:
    """Open a study file once it is known to open."""
    with st.spinner("Checking"):
        study, _, _ = read_study(path)
    state.choose_study(study.path)


def _refused(error: BadInput) -> None:
    st.error("This study cannot be opened.", icon=":material/error:")
    objective_form.show_problems(error.problems)


def _by_path(current: Path | None) -> None:
    with st.form("open_by_path", border=True):
        typed = st.text_input(
            "Study file or its directory, on this server",
            placeholder="/models/trio/study.yaml", key="study_path", persist_state="session",
        )  # fmt: skip
        asked = st.form_submit_button("Open this study")
    try:
        if asked:
            _open(typed_path(typed, "Study file"))
        demo = opened.workspace() / "demo" / "study.yaml"
        if current != demo.resolve() and st.button("Open the demo", key="open_demo"):
            _open(opened.demo_path())
    except BadInput as error:
        _refused(error)


def _recent(current: Path | None) -> None:
    try:
        found = recent_studies(opened.store(), current)
    except BadInput as error:
        state.show_problems(error.problems)
        return
    st.text("Recent studies" if found else "Recent studies: none besides this one.")
    for each in found:
        with st.container(horizontal=True, vertical_alignment="center"):
            if st.button(f"Open {each.name}", key=f"recent:{each.path}"):
                try:
                    _open(each.path)
                except BadInput as error:
                    _refused(error)
            st.text(str(each.path))


def _experts() -> list[tuple[str, str]]:
    """The rows of experts; one can be added, and taken out where there is more than one."""
    rows: list[int] = st.session_state.setdefault("expert_rows", [0, 1])
    found = []
    for place, row in enumerate(rows, start=1):
        name, directory, out = st.columns([2, 6, 1], vertical_alignment="bottom")
        found.append(
            (
                name.text_input(
                    f"Name of expert {place}", key=f"expert_name:{row}", persist_state="session"
                ),
                directory.text_input(
                    f"Directory of expert {place}",
                    key=f"expert_place:{row}",
                    persist_state="session",
                ),
            )
        )
        out.button(
            "Take out", key=f"expert_out:{row}", on_click=rows.remove, args=(row,),
            disabled=len(rows) == 1, help=f"Take expert {place} out of this form",
        )  # fmt: skip
    st.button("Add an expert", key="expert_more", on_click=rows.append, args=(max(rows) + 1,))
    return found


def _draft() -> Draft:
    """Draw the fields; what was typed."""
    left, right = st.columns(2)
    name = left.text_input(
        "Name of the study", key="new_name", persist_state="session", placeholder="trio"
    )
    shown = name.strip() or "trio"
    place = right.text_input(
        "Where to write it", key="new_place", persist_state="session",
        placeholder=str(opened.workspace() / "studies" / shown / "study.yaml"),
        help="A file that does not exist yet. Empty: the place shown",
    )  # fmt: skip
    base = st.text_input(
        "Directory of the base",
        placeholder="/models/base", key="new_base", persist_state="session",
        help="A Hugging Face directory, or an id in the local cache; nothing is downloaded",
    )  # fmt: skip
    experts = _experts()
    left, right = st.columns([3, 1])
    target = left.text_input(
        "Directory of the target (optional)", key="new_target", persist_state="session",
        help="A larger model that the small ones steer",
    )  # fmt: skip
    named = [each.strip() for each, _ in experts if each.strip()]
    tokenizer = right.selectbox(
        "Tokenizer of", ["base", *dict.fromkeys(named)],
        key="new_tokenizer", persist_state="session",
        help="Whose tokenizer, chat template and end tokens are used",
    )  # fmt: skip
    first = st.radio(
        "First objective", ["cost", OWN], key="new_first", persist_state="session", horizontal=True,
        help="cost needs no data: parameters run for each token. More can be added later",
    )  # fmt: skip
    objectives: list[dict[str, Any]] = [COST]
    if first == OWN:
        beside = Path(place.strip() or opened.workspace() / "studies" / shown / "study.yaml")
        beside = beside if beside.suffix in (".yaml", ".yml") else beside / "study.yaml"
        objectives = [objective_form.fields("new_objective", beside)]
    return Draft(
        name,
        place.strip() or str(opened.workspace() / "studies" / shown / "study.yaml"),
        base,
        experts,
        objectives,
        target,
        str(tokenizer or "base"),
    )


def _from_directories() -> None:
    draft = _draft()
    with st.container(horizontal=True):
        check = st.button("Check", key="check_study", help="From headers; nothing is written")
        write = st.button("Write the study and open it", key="write_study", type="primary")
    if not check and not write:
        return
    try:
        with st.spinner("Checking"):
            study, family = check_draft(draft)
            if write:
                write_study(draft, study.path)
    except BadInput as error:
        st.error("Nothing was written.", icon=":material/error:")
        objective_form.show_problems(error.problems)
        return
    if write:
        state.choose_study(study.path)
    st.success("These models fit together.", icon=":material/check_circle:")
    st.dataframe(pd.DataFrame(modelling.table(family)), hide_index=True)
    show_checks(modelling.checks(family))


def show_checks(checks: tuple[modelling.Check, ...]) -> None:
    """Every check with its result."""
    for check in checks:
        name, result = st.columns([1, 5], gap="small")
        name.text(f"{'✓' if check.good else '•'} {check.name}")
        result.text("\n".join(check.results))
