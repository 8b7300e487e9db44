"""The form of an objective: its fields, a preview, and the study file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from engine.errors import BadInput, Problem
from engine.recipe import resolve, unmerged
from engine.scoring.registry import find_scorer
from pages.panels.models import objective_inputs, wrong
from studio.objective_fields import fields_of, held_of
from studio.points.numbers import number
from studio.study_editor import check_document, item_of
from studio.study_text import add_objective, replace_objective
from studio.task import Task
from studio.workbench import Workbench
from ui import frame as state
from ui import jobs, opened
from ui.browse import plain

MANY = 3
FORM = "objective"


def show(bench: Workbench) -> None:
    """The whole section: fields, preview, add."""
    changing = editing(bench)
    start = item_of(bench.study.path, changing) if changing else objective_inputs.NEW
    st.subheader(f"Edit {plain(changing)}" if changing else "Add an objective", anchor=False)
    _said(bench)
    round_ = st.session_state.setdefault("objective_round", 0)
    document = objective_inputs.fields(
        f"objective:{round_}", bench.study.path, FORM, start, models=bench.names.models
    )
    job = f"{opened.session()}:preview"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        model = st.selectbox(
            "Preview on", bench.names.models, key="preview_on", persist_state="session",
            width=220,
            help="The model whose answers are shown; nothing is saved",
        )  # fmt: skip
        preview = st.button("Preview five examples", key="preview")
        label = "Save changes" if changing else "Add to the study"
        add = st.button(label, key="add_objective", type="primary")
        if changing:
            st.button("Discard changes", key="edit_end", on_click=edit, args=(bench, ""))
    if preview or add:
        wrong.forget(FORM)
        try:
            with st.spinner("Checking"):
                _, counted = check_document(document, bench.study, bench.family, changing)
                st.session_state["objective_counted"] = str(counted)
                if add:
                    _write(bench, document, changing)
        except BadInput as error:
            found = fields_of(document, error.problems, bench.study.path)
            wrong.keep(FORM, found, held_of(document))
            st.rerun()
        else:
            _submit(bench, document, str(model), job)
    if wrong.many(FORM):
        said = f"The study file is unchanged: {wrong.many(FORM)}"
        st.error(said, icon=":material/error:")
        show_problems(wrong.of_no_field(FORM))
        return
    _result(bench, document, job)


def show_problems(problems: Sequence[Problem]) -> None:
    """Every problem; many of them in a scrolling container."""
    if len(problems) <= MANY:
        state.show_problems(problems)
        return
    st.text(f"{len(problems)} problems:")
    with st.container(height=340, border=False):
        state.show_problems(problems)


def _key(document: Mapping[str, Any]) -> str:
    return json.dumps(document, sort_keys=True)


def _submit(bench: Workbench, document: Mapping[str, Any], model: str, job: str) -> None:
    recipe = resolve(unmerged(model), bench.names)
    st.session_state.pop("objective_said", None)
    st.session_state["previewed"] = (_key(document), model, document["scorer"])
    payload = {"objective": dict(document), "recipe": recipe.as_dict()}
    bench.submit(f"Preview of {document['name']} on {model}", "preview", payload, job)


def _write(bench: Workbench, document: Mapping[str, Any], changing: str) -> None:
    """Write it to the study file, then reload the study."""
    if changing:
        replace_objective(bench.study.path, changing, document)
        said = f"Changed {document['name']} in the study file."
        if document["name"] != changing:
            said = f"Changed {changing}, now {document['name']}, in the study file."
        said += " Scores from the previous definition are kept, but left out of charts and fronts."
    else:
        add_objective(bench.study.path, document)
        said = f"Added {document['name']} to the study file."
    restart(bench, said)


def restart(bench: Workbench, said: str) -> None:
    """Once the study file has changed: the study as it is now, an empty form, and what was done."""
    edit(bench, "")
    st.session_state["objective_said"] = (said, str(bench.study.path))
    st.rerun()


def edit(bench: Workbench, name: str) -> None:
    """Load an objective of the study into the form; "" for a new one."""
    st.session_state["objective_edited"] = (name, str(bench.study.path))
    st.session_state["objective_round"] = st.session_state.get("objective_round", 0) + 1
    wrong.forget(FORM)
    for each in ("previewed", "objective_said"):
        st.session_state.pop(each, None)


def editing(bench: Workbench) -> str:
    """The objective in the form; "" if it is a new one."""
    name, path = st.session_state.get("objective_edited", ("", ""))
    return name if path == str(bench.study.path) and name in bench.objective_names else ""


def _said(bench: Workbench) -> None:
    """How the study file was changed, until the next is previewed or written."""
    said, path = st.session_state.get("objective_said", ("", ""))
    if said and path == str(bench.study.path):
        st.success(plain(said), icon=":material/check_circle:")


def _result(bench: Workbench, document: Mapping[str, Any], job: str) -> None:
    task = bench.task(job)
    if task is None or "previewed" not in st.session_state:
        return
    known, model, scorer = st.session_state["previewed"]
    if known != _key(document):
        st.text("The fields have changed since this preview.")
    if task.status.state == "done":
        st.text(st.session_state.get("objective_counted", ""))
        _examples(task, model, find_scorer(scorer).kind == "choice")
    jobs.endings(bench, (job,))


def _examples(task: Task, model: str, choices: bool) -> None:
    """The examples of a finished preview, one under the other.

    Args:
        choices: whether the scorer compares choices.
    """
    result = task.handle.result(0)
    examples = result["examples"]
    for number_, each in enumerate(examples, start=1):
        with st.container(border=True, gap="xsmall"):
            value = "no value" if each["value"] is None else f"{each['value']:.4g}"
            line = f", line {each['line']}" if each["line"] else ""
            st.text(f"Example {number_}{line}: value {value}")
            said = "Σ log p of each choice" if choices else f"{model}'s answer"
            parts = (("Prompt", "prompt"), (said, "said"), ("Target", "target"))
            shown = [(label, each[name]) for label, name in parts if each[name] is not None]
            for column, (label, text) in zip(st.columns(len(shown) or 1), shown, strict=False):
                column.caption(label)
                column.code(text or "(nothing)", language=None, wrap_lines=True)
    mean = result["mean"]
    if mean is not None and len(examples) > 1:
        known = (result[each] for each in ("stderr", "low", "high"))
        st.text(f"Over these {len(examples)}: {number(mean, *known)}")
    elif result["error"]:
        st.text(f"No score: {result['error']}")
