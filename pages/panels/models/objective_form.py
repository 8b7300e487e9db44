"""The form of an objective: fields that follow the scorer, a preview, and the study file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from engine.errors import BadInput, Problem
from engine.recipe import Recipe, resolve
from engine.scoring.registry import Scorer, find_scorer
from pages.panels.models import browse, data_form
from studio.browsing import DATA
from studio.glossary import WORDS
from studio.points.numbers import number
from studio.study_editor import (
    check_document,
    document_of,
    generates,
    scorer_text,
    scorers,
    texts_of,
)
from studio.study_text import add_objective
from studio.task import Task
from studio.workbench import Workbench
from ui import frame as state
from ui import jobs, opened
from ui.parameter import ESCAPED, parameter_field

MANY = 3


def _common(scorer: Scorer, key: str) -> dict[str, Any]:
    """The fields that any objective with data has."""
    values: dict[str, Any] = {}
    left, right = st.columns(2)
    values["chat"] = left.checkbox(
        "Through the chat template", key=f"{key}:chat", persist_state="session",
        help="Wraps each prompt as one user message; without it a prompt is fed as it is",
    )  # fmt: skip
    if generates(scorer):
        values["max_new_tokens"] = left.number_input(
            "Longest answer in tokens",
            min_value=1,
            value=64,
            key=f"{key}:max_new_tokens",
            persist_state="session",
        )
        stop = right.text_area(
            "Stop at", key=f"{key}:stop", persist_state="session", help=ESCAPED, height=90
        )
        values["stop"] = texts_of(stop)
    values["limit"] = left.number_input(
        "Examples at most", min_value=1, value=None, key=f"{key}:limit", persist_state="session",
        placeholder="all",
        help="A stable subset, by the hash of the prompt",
    )  # fmt: skip
    values["report_fraction"] = right.number_input(
        "Share held back for the report", min_value=0.0, max_value=1.0, value=0.3, step=0.05,
        key=f"{key}:report_fraction", persist_state="session", format="%.2f",
        help="Never used for exploring; measured once, when a point is exported",
    )  # fmt: skip
    return values


def fields(key: str, beside: Path) -> dict[str, Any]:
    """Draw the fields; the item of `objectives:` they amount to.

    Args:
        key: what the keys of the widgets begin with.
        beside: the study file, to which a relative path of data is relative.
    """
    left, right = st.columns(2)
    values: dict[str, Any] = {
        "name": left.text_input(
            "Name of the objective",
            key=f"{key}:name",
            persist_state="session",
            help=WORDS["objective"],
        )
    }
    name = right.selectbox(
        "Scorer", scorers(), key=f"{key}:scorer", persist_state="session", help=WORDS["scorer"]
    )
    scorer = find_scorer(name)
    values["scorer"] = name
    st.text(scorer_text(name))
    if scorer.kind != "none":
        values["data"] = browse.field(
            "Data file", f"{key}:data", endings=DATA, placeholder="/data/questions.jsonl",
            help="JSON Lines, JSON, CSV, TSV or Parquet, also gzipped, on this server; a relative "
            "path is relative to the study file",
        )  # fmt: skip
    place = st.container()
    for each in scorer.options:
        values[each.name] = parameter_field(
            each, each.default, (), f"{key}:{name}:{each.name}", persist="session"
        )
    if scorer.kind != "none":
        with place:
            values |= data_form.show(document_of(values), f"{key}:{name}", beside)
    ways = ["maximize", "minimize"]
    values["direction"] = st.radio(
        "Direction", ways, index=ways.index(scorer.direction), horizontal=True,
        format_func=lambda way: f"{way} (as usual)" if way == scorer.direction else way,
        key=f"{key}:{name}:direction", persist_state="session",
    )  # fmt: skip
    if scorer.kind != "none":
        values |= _common(scorer, key)
    return document_of(values)


def show(bench: Workbench) -> None:
    """The whole section: fields, preview, add."""
    round_ = st.session_state.setdefault("objective_round", 0)
    document = fields(f"objective:{round_}", bench.study.path)
    job = f"{opened.session()}:preview"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        model = st.selectbox(
            "Preview on", bench.names.models, key="preview_on", persist_state="session",
            width=220,
            help="The model whose answers are shown; nothing is saved",
        )  # fmt: skip
        preview = st.button("Preview five examples", key="preview")
        add = st.button("Add to the study", key="add_objective", type="primary")
    if preview or add:
        st.session_state.pop("objective_problems", None)
        try:
            with st.spinner("Checking"):
                _, counted = check_document(document, bench.study, bench.family)
                st.session_state["objective_counted"] = str(counted)
                if add:
                    _add(bench, document)
        except BadInput as error:
            st.session_state["objective_problems"] = (_key(document), error.problems)
        else:
            _submit(bench, document, str(model), job)
    known, problems = st.session_state.get("objective_problems", ("", ()))
    if problems:
        title = "The study file is unchanged."
        st.error(
            title if known == _key(document) else f"{title} The fields have changed since.",
            icon=":material/error:",
        )
        show_problems(problems)
        return
    _result(bench, document, job)


def show_problems(problems: Sequence[Problem]) -> None:
    """Every problem; many of them in a part of the page that scrolls by itself."""
    if len(problems) <= MANY:
        state.show_problems(problems)
        return
    st.text(f"{len(problems)} problems:")
    with st.container(height=340, border=False):
        state.show_problems(problems)


def _key(document: Mapping[str, Any]) -> str:
    return json.dumps(document, sort_keys=True)


def _submit(bench: Workbench, document: Mapping[str, Any], model: str, job: str) -> None:
    recipe = resolve(Recipe("single", {}, {"model": model}), bench.names)
    st.session_state.pop("added", None)
    st.session_state["previewed"] = (_key(document), model, document["scorer"])
    payload = {"objective": dict(document), "recipe": recipe.as_dict()}
    bench.submit(f"Preview of {document['name']} on {model}", "preview", payload, job)


def _add(bench: Workbench, document: Mapping[str, Any]) -> None:
    """Write it to the study file, then start again on the study as it is now."""
    add_objective(bench.study.path, document)
    st.session_state["added"] = (document["name"], str(bench.study.path))
    st.session_state["objective_round"] += 1
    st.session_state.pop("previewed", None)
    st.rerun()


def said_added(bench: Workbench) -> None:
    """That an objective was added, until the next one is previewed."""
    name, path = st.session_state.get("added", (None, None))
    if name is None or path != str(bench.study.path):
        return
    st.success(f"Added {name} to the study file.", icon=":material/check_circle:")


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
            said = "Σ log p of each choice" if choices else f"{model} says"
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
