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
from pages.panels.models.browse import plain
from studio.browsing import DATA
from studio.glossary import WORDS
from studio.points.numbers import number
from studio.study_editor import (
    check_document,
    document_of,
    generates,
    item_of,
    kept_of,
    scorer_text,
    scorers,
    text_of,
    texts_of,
)
from studio.study_text import add_objective, replace_objective
from studio.task import Task
from studio.workbench import Workbench
from ui import frame as state
from ui import jobs, opened
from ui.parameter import ESCAPED, parameter_field

MANY = 3
NEW: Mapping[str, Any] = {}


def _common(scorer: Scorer, key: str, start: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that any objective with data has."""
    values: dict[str, Any] = {}
    left, right = st.columns(2)
    values["chat"] = left.checkbox(
        "Through the chat template", bool(start.get("chat", False)), key=f"{key}:chat",
        persist_state="session",
        help="Wraps each prompt as one user message; without it a prompt is fed as it is",
    )  # fmt: skip
    if generates(scorer):
        values["max_new_tokens"] = left.number_input(
            "Longest answer in tokens",
            min_value=1,
            value=int(start.get("max_new_tokens", 64)),
            key=f"{key}:max_new_tokens",
            persist_state="session",
        )
        stops = start.get("stop", [])
        stop = right.text_area(
            "Stop at", text_of([stops] if isinstance(stops, str) else stops), key=f"{key}:stop",
            persist_state="session", help=ESCAPED, height=90,
        )  # fmt: skip
        values["stop"] = texts_of(stop)
    values["limit"] = left.number_input(
        "Examples at most", min_value=1, value=start.get("limit"), key=f"{key}:limit",
        persist_state="session", placeholder="all",
        help="A stable subset, by the hash of the prompt",
    )  # fmt: skip
    values["report_fraction"] = right.number_input(
        "Share held back for the report", min_value=0.0, max_value=1.0,
        value=float(start.get("report_fraction", 0.3)), step=0.05,
        key=f"{key}:report_fraction", persist_state="session", format="%.2f",
        help="Never used for exploring; measured once, when a point is exported",
    )  # fmt: skip
    return values


def fields(key: str, beside: Path, start: Mapping[str, Any] = NEW) -> dict[str, Any]:
    """Draw the fields; the item of `objectives:` they amount to.

    Args:
        key: what the keys of the widgets begin with.
        beside: the study file, to which a relative path of data is relative.
        start: an item that the fields hold at first; what they have no place for stays in it.
    """
    left, right = st.columns(2)
    values: dict[str, Any] = {
        "name": left.text_input(
            "Name of the objective",
            start.get("name", ""),
            key=f"{key}:name",
            persist_state="session",
            help=WORDS["objective"],
        )
    }
    name = right.selectbox(
        "Scorer", scorers(), scorers().index(start["scorer"]) if start else 0, key=f"{key}:scorer",
        persist_state="session", help=WORDS["scorer"],
    )  # fmt: skip
    scorer = find_scorer(name)
    kept, own = kept_of(start, scorer), start if start.get("scorer") == name else NEW
    values["scorer"] = name
    st.text(scorer_text(name))
    if scorer.kind != "none":
        values["data"] = browse.field(
            "Data file", f"{key}:data", endings=DATA, value=start.get("data", ""),
            placeholder="/data/questions.jsonl",
            help="JSON Lines, JSON, CSV, TSV or Parquet, also gzipped, on this server; a relative "
            "path is relative to the study file",
        )  # fmt: skip
    place = st.container()
    for each in scorer.options:
        texts = each.kind == "texts"
        value = each.default if texts else own.get(each.name, each.default)
        lines = own.get(each.name) or () if texts else ()
        values[each.name] = parameter_field(
            each, value, (), f"{key}:{name}:{each.name}", "session", lines=lines
        )
    if scorer.kind != "none":
        with place:
            known = {**kept, **document_of(values)}
            values |= data_form.show(known, f"{key}:{name}", beside)
    ways = ["maximize", "minimize"]
    values["direction"] = st.radio(
        "Direction", ways, index=ways.index(own.get("direction") or scorer.direction),
        horizontal=True,
        format_func=lambda way: f"{way} (as usual)" if way == scorer.direction else way,
        key=f"{key}:{name}:direction", persist_state="session",
    )  # fmt: skip
    if scorer.kind != "none":
        values |= _common(scorer, key, start)
    if kept:
        st.text(f"Kept as in the study file: {', '.join(kept)}.")
    document = document_of(values)
    return document | {each: kept[each] for each in kept if each not in document}


def show(bench: Workbench) -> None:
    """The whole section: fields, preview, add."""
    changing = editing(bench)
    start = item_of(bench.study.path, changing) if changing else NEW
    st.subheader(f"Change {plain(changing)}" if changing else "Add an objective", anchor=False)
    _said(bench)
    round_ = st.session_state.setdefault("objective_round", 0)
    document = fields(f"objective:{round_}", bench.study.path, start)
    job = f"{opened.session()}:preview"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        model = st.selectbox(
            "Preview on", bench.names.models, key="preview_on", persist_state="session",
            width=220,
            help="The model whose answers are shown; nothing is saved",
        )  # fmt: skip
        preview = st.button("Preview five examples", key="preview")
        label = "Save the change" if changing else "Add to the study"
        add = st.button(label, key="add_objective", type="primary")
        if changing:
            st.button("Leave it as it is", key="edit_end", on_click=edit, args=(bench, ""))
    if preview or add:
        st.session_state.pop("objective_problems", None)
        try:
            with st.spinner("Checking"):
                _, counted = check_document(document, bench.study, bench.family, changing)
                st.session_state["objective_counted"] = str(counted)
                if add:
                    _write(bench, document, changing)
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
    st.session_state.pop("objective_said", None)
    st.session_state["previewed"] = (_key(document), model, document["scorer"])
    payload = {"objective": dict(document), "recipe": recipe.as_dict()}
    bench.submit(f"Preview of {document['name']} on {model}", "preview", payload, job)


def _write(bench: Workbench, document: Mapping[str, Any], changing: str) -> None:
    """Write it to the study file, then start again on the study as it is now."""
    if changing:
        replace_objective(bench.study.path, changing, document)
        said = f"Changed {document['name']} in the study file."
        if document["name"] != changing:
            said = f"Changed {changing}, now {document['name']}, in the study file."
        said += " Scores as of another definition are kept, and left out of charts and fronts."
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
    """Let the form hold an objective of the study; "" for a new one."""
    st.session_state["objective_edited"] = (name, str(bench.study.path))
    st.session_state["objective_round"] = st.session_state.get("objective_round", 0) + 1
    for each in ("previewed", "objective_problems", "objective_said"):
        st.session_state.pop(each, None)


def editing(bench: Workbench) -> str:
    """The objective that the form holds; "" where it is a new one."""
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
