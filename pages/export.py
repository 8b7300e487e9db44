"""Export: one point leaves as an ordinary directory on the machine of this app."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from engine import unfinished
from engine.errors import BadInput, shown
from engine.recipe import Recipe, resolve
from studio.export import exports
from studio.export.serving import limits, serving
from studio.points.view import Measured, axes_of
from studio.task import Task
from ui import frame as state
from ui import jobs
from ui.recipe import anchored
from ui.tray import tray

bench = state.enter("Export")
axes = axes_of(bench.objectives)
job = f"{state.session()}:export"


def choose_point(measured: Measured) -> str | None:
    """The point that the address names; else one of the list, or of an id typed in."""
    asked = st.query_params.get("point")
    ids = exports.choices(measured, axes, tray(), asked)
    if not ids:
        return None
    if asked is not None and asked not in ids:
        st.text(f"This study has no point {shown(asked, most=80)}.")
    key = f"points:{asked}"
    listed, typed = st.columns([2, 1], vertical_alignment="bottom")
    point = listed.selectbox(
        "Point", ids, key=key,
        index=anchored(key, ids.index(asked) if asked in ids else 0),
        format_func=lambda each: f"{measured.text(measured.row_of[each])} · {each}",
        help="The front over all objectives, the models, and what is in the tray",
    )  # fmt: skip
    text = typed.text_input("Or its id", help="Any measured point; its beginning is enough")
    if not text:
        return point
    found, why = exports.look_up(measured, text)
    if found is None:
        st.text(why)
    return found or point


def show_scores(measured: Measured, point: str, recipe: Recipe) -> None:
    """The scores that chose the point beside those on rows that no slider has seen."""
    rows = exports.score_table(measured, point, axes, bench.reported(recipe))
    st.dataframe(pd.DataFrame(rows), hide_index=True, height="content", key="export_scores")
    with st.container(key="export_note"):
        st.text(
            "Held-back rows are measured once, at export. They may come out worse: this point was "
            "chosen by the explored rows, and luck on those helped it. Both vary by their ±."
        )


def place_of(point: str) -> Path:
    """The directory asked for; after an export another is proposed."""
    done = sum(each.get("point") == point for each in bench.store.records("export"))
    key = f"place:{point}:{done}"
    default = exports.default_place(bench.workspace, bench.study.name, point)
    text = st.text_input(
        "Directory on this server", value=anchored(key, str(default)), key=key,
        help="It must not exist or be empty",
    )  # fmt: skip
    try:
        return Path(text.strip()).expanduser()
    except RuntimeError:  # no such ~user: refused as it stands
        return Path(text.strip())


def ask(recipe: Recipe, point: str) -> None:
    """Where to, in which form; what that will write; and off it goes."""
    out = place_of(point)
    adapter = False
    if bench.adapter_only(recipe):
        form = st.radio(
            "Write as", ["LoRA adapter", "merged checkpoint"], horizontal=True,
            help="The adapter is exact; a merged checkpoint states its difference",
        )  # fmt: skip
        adapter = form == "LoRA adapter"
    try:
        plan = exports.foretell(bench, recipe, adapter)
    except BadInput as error:  # a link that leaves the model's directory, say
        state.show_problems(error.problems)
        return
    problem = exports.refusal(out, plan.bytes)
    with st.expander(f"Will write {exports.room(out, plan)}"):
        st.code(exports.planned(plan), language=None)
        if plan.beside:
            needs = ", ".join(f"{name} ({bench.family.models[name].path})" for name in plan.beside)
            st.text(f"It will need these where they lie: {needs}.")
    if problem:
        state.show_problems([problem])
    running = (task := bench.task(job)) is not None and not task.status.over
    waiting = bench.opened is None
    pressed = st.button(
        "Export", type="primary", key="start_export", disabled=running or waiting,
        help="The worker opens the study" if waiting else
        "It is loaded again and compared with the live model before it appears",
    )  # fmt: skip
    if not pressed:
        return
    if problem:
        st.error("Nothing was written.", icon=":material/error:")
        return
    bench.export(recipe, out, adapter=adapter, session=job)
    st.rerun()


def show_end(task: Task) -> None:
    """What became of the latest export of this session, below what `jobs` says of it."""
    status, out = task.status, str(task.handle.job.payload["out"])
    if status.state == "failed":
        st.text(unfinished.told(unfinished.beside(Path(out))))
    elif status.state == "done":
        st.success("Exported.", icon=":material/check_circle:")
        found = [each for each in bench.store.records("export") if each.get("out") == out]
        if found:
            show_export(found[-1])


def show_export(record: Mapping[str, Any]) -> None:
    """Where an export lies, whether it was checked, how to serve it."""
    st.code(str(record["out"]), language=None, wrap_lines=True)
    if not exports.is_there(record):
        st.text("It is no longer there.")
        return
    st.text(exports.verified_text(record))
    with st.expander("Files"):
        st.code(exports.written(record), language=None)
    if limits(record):
        st.text(limits(record))
    for line in serving(record):
        st.text(line.what)
        st.code(line.code, language=line.language, wrap_lines=True)


def show_history() -> None:
    """Every export of this workspace, newest first; a click shows how to serve one."""
    records = bench.store.records("export")
    if not records:
        return
    with st.container(key="exports"):
        st.subheader("Exports", anchor=False)
        chosen = st.dataframe(
            pd.DataFrame(exports.history(records)), key=f"export_history:{len(records)}",
            hide_index=True,
            on_select="rerun", selection_mode="single-row",
            column_config={"where": st.column_config.TextColumn("where", width="large")},
        )["selection"]["rows"]  # fmt: skip
    if chosen and chosen[0] < len(records):
        show_export(records[::-1][chosen[0]])


measured = bench.measured()
point = choose_point(measured) if len(measured) else None
if not len(measured):
    st.text("Nothing to export yet: the first points are being scored.")
    jobs.activity(bench, ("singles",))
elif point is None:
    st.text("Nothing to export yet: no point has a score of every objective.")
    st.page_link(state.page("explore"), label="Evaluate a recipe on Explore")
else:
    left, right = st.columns(2, gap="large")
    try:
        recipe = resolve(measured.recipes[measured.row_of[point]], bench.names)
    except BadInput as error:
        state.show_problems(error.problems)
    else:
        with left:
            st.code(recipe.to_yaml(), language="yaml")
            show_scores(measured, point, recipe)
        with right:
            ask(recipe, point)
            jobs.activity(bench, (job,))
            task = bench.task(job)
            if task is not None and task.status.over:
                show_end(task)
show_history()
