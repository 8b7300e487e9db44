"""The ways to another study: the demo, a study file, recent ones, directories of models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from engine.errors import BadInput
from engine.family.compatibility import Family
from pages.panels.models import model_words, objective_form, objective_inputs, wrong
from studio import modelling
from studio.browsing import STUDIES
from studio.drafting import Draft, check_draft, fields_of, write_study
from studio.objective_fields import held_of
from studio.opening import read_study, recent_studies, typed_path
from ui import browse, listing, opened
from ui import frame as state

COST = {"name": "cost", "scorer": "cost"}
OWN = "an objective of your own"
FORM = "draft"


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
    browse.button("Study file or its directory", "study_path", typed)
    browse.picker("Study file or its directory", "study_path", STUDIES)
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
    st.text("Recent studies" if found else "Recent studies: only this one.")
    for each in found:
        with st.container(horizontal=True, vertical_alignment="center"):
            if st.button(f"Open {each.name}", key=f"recent:{each.path}"):
                try:
                    _open(each.path)
                except BadInput as error:
                    _refused(error)
            listing.path(each.path)


def _experts() -> list[tuple[str, str]]:
    """The rows of experts; one can be added, and removed where there is more than one."""
    rows: list[int] = st.session_state.setdefault("expert_rows", [0, 1])
    found = []
    for place, row in enumerate(rows, start=1):
        name, directory, out = st.columns([3, 8, 1.4], vertical_alignment="bottom")
        found.append(
            (
                name.text_input(
                    f"Name of expert {place}", key=f"expert_name:{row}", persist_state="session"
                ),
                browse.field(
                    f"Directory of expert {place}", f"expert_place:{row}", place=directory
                ),
            )
        )
        out.button(
            "Remove", key=f"expert_out:{row}", on_click=rows.remove, args=(row,),
            disabled=len(rows) == 1, help=f"Remove expert {place} from this form",
        )  # fmt: skip
        _wrong(f"expert:{place - 1}", found[-1])
    st.button("Add an expert", key="expert_more", on_click=rows.append, args=(max(rows) + 1,))
    _wrong("experts", found)
    return found


def _wrong(field: str, value: Any) -> None:
    """What is wrong with a field, until it holds something else."""
    wrong.below(FORM, field, value)


def _draft() -> Draft:
    """Draw the fields, each with what is wrong with it; what was typed."""
    left, right = st.columns(2)
    with left:
        name = st.text_input(
            "Name of the study", key="new_name", persist_state="session", placeholder="trio"
        )
        _wrong("name", name)
    shown = opened.workspace() / "studies" / (name.strip() or "trio") / "study.yaml"
    with right:
        place = st.text_input(
            "Where to write it", key="new_place", persist_state="session", placeholder=str(shown),
            help="A file that does not exist yet. Leave empty to use the path shown",
        )  # fmt: skip
        _wrong("place", place)
    base = browse.field(
        "Directory of the base", "new_base", placeholder="/models/base",
        help="A Hugging Face directory, or an id in the local cache; nothing is downloaded",
    )  # fmt: skip
    _wrong("base", base)
    experts = _experts()
    left, right = st.columns([3, 1])
    with left:
        target = browse.field(
            "Directory of the target (optional)", "new_target",
            help="A larger model that the small ones steer",
        )  # fmt: skip
        _wrong("target", target)
    named = [each.strip() for each, _ in experts if each.strip()]
    with right:
        tokenizer = st.selectbox(
            "Tokenizer of", ["base", *dict.fromkeys(named)],
            key="new_tokenizer", persist_state="session",
            help="Whose tokenizer, chat template and end tokens are used",
        )  # fmt: skip
        _wrong("tokenizer", tokenizer)
    words = model_words.fields(FORM, st.session_state["expert_rows"], experts, bool(target.strip()))
    first = st.radio(
        "First objective", ["cost", OWN], key="new_first", persist_state="session", horizontal=True,
        help="cost needs no data: it counts parameters run per token. You can add more "
        "objectives later",
    )  # fmt: skip
    objectives: list[dict[str, Any]] = [COST]
    if first == OWN:
        beside_it = Path(place.strip() or shown)
        beside_it = beside_it if beside_it.suffix in (".yaml", ".yml") else beside_it / "study.yaml"
        key = "new_objective"
        objectives = [
            objective_inputs.fields(
                key, beside_it, FORM, within="objective:", models=("base", *dict.fromkeys(named))
            )
        ]
    _wrong("objective", objectives)
    where = place.strip() or str(shown)
    return Draft(name, where, base, experts, objectives, target, str(tokenizer or "base"), words)


def _values(draft: Draft) -> dict[str, Any]:
    """Field -> what it holds."""
    place = st.session_state.get("new_place", "")
    experts = {f"expert:{row}": each for row, each in enumerate(draft.experts)}
    return {
        "name": draft.name, "place": place, "base": draft.base, "target": draft.target,
        "tokenizer": draft.tokenizer, "objective": draft.objectives, "experts": draft.experts,
        **experts,
        **{f"words:{model}": each for model, each in draft.words.items()},
        **{f"objective:{field}": each for field, each in held_of(draft.objectives[0]).items()},
    }  # fmt: skip


def _from_directories() -> None:
    draft = _draft()
    with st.container(horizontal=True):
        check = st.button("Check", key="check_study", help="Reads headers only; nothing is written")
        write = st.button("Write the study and open it", key="write_study", type="primary")
    if check or write:
        wrong.forget(FORM)
        try:
            with st.spinner("Checking"):
                study, family = check_draft(draft)
                if write:
                    write_study(draft, study.path)
        except BadInput as error:
            wrong.keep(FORM, fields_of(draft, error.problems), _values(draft))
            st.rerun()
        if write:
            state.choose_study(study.path)
        _fits(family)
    if wrong.many(FORM):
        st.error(f"Nothing was written. {wrong.many(FORM)}", icon=":material/error:")
        objective_form.show_problems(wrong.of_no_field(FORM))


def _fits(family: Family) -> None:
    st.success("These models fit together.", icon=":material/check_circle:")
    listing.table(modelling.table(family), paths=("directory",))
    show_checks(modelling.checks(family))


def show_checks(checks: tuple[modelling.Check, ...]) -> None:
    """Every check with its result."""
    for check in checks:
        name, result = st.columns([1, 5], gap="small")
        name.text(f"{'✓' if check.good else '•'} {check.name}")
        result.text("\n".join(check.results))
