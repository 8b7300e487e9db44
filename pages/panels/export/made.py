"""The results of exports: that of the model on this page, and all earlier ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from engine import unfinished
from engine.recipe import Recipe
from studio.export import history
from studio.export.model import Model
from studio.export.serving import limits, serving, without_export
from studio.points.remarks import names_of
from studio.task import Task
from studio.workbench import Workbench
from ui import jobs


def live(bench: Workbench, model: Model) -> None:
    """How to serve a measured point as it is."""
    if model.point is None:
        return
    line = without_export(bench.study.path, model.point, bench.workspace)
    with st.expander("Serve it without an export"):
        st.text(
            "On this machine, to any OpenAI client, in logit space too. Run it where the app is "
            "installed; docs/serve.md says what requests may ask."
        )
        st.code(line.code, language=line.language, wrap_lines=True)


def activity(bench: Workbench, recipe: Recipe, job: str, evaluation: str) -> None:
    """How this page's jobs for this model ended."""
    task = bench.task(job)
    mine = task is not None and history.is_of(task, recipe)
    running = task is not None and not task.status.over
    jobs.endings(bench, [evaluation, *([job] if mine else [])])
    if task is None or running:
        return
    if not mine:
        if task.status.state == "failed" and task.status.failure != "cancelled":
            st.text(f"A different model failed: {task.what}.")
            st.code(task.status.reason or "no reason was given", language=None, wrap_lines=True)
        return
    _show_end(bench, task)


def _show_end(bench: Workbench, task: Task) -> None:
    """The result of this model's export, below the status from `jobs`."""
    status, out = task.status, str(task.handle.job.payload["out"])
    if status.state == "failed":
        st.text(unfinished.told(unfinished.beside(Path(out))))
    elif status.state == "done":
        st.success("Exported.", icon=":material/check_circle:")
        found = [each for each in bench.store.records("export") if each.get("out") == out]
        if found:
            _show(found[-1])


def _show(record: Mapping[str, Any]) -> None:
    """Where an export lies, whether it was checked, how to serve it."""
    st.code(str(record["out"]), language=None, wrap_lines=True)
    if not history.is_there(record):
        st.text("The files are no longer there.")
        return
    st.text(history.verified_text(record))
    with st.expander("Files"):
        st.code(history.written(record), language=None)
    if limits(record):
        st.text(limits(record))
    for line in serving(record):
        st.text(line.what)
        st.code(line.code, language=line.language, wrap_lines=True)


def earlier(bench: Workbench) -> None:
    """Every export of this workspace, newest first; a click shows how to serve one."""
    records = bench.store.records("export")
    if not records:
        return
    names = names_of(bench.remarks.all())
    with st.container(key="exports"):
        st.subheader("Exported earlier", anchor=False)
        st.text("Select a row for details and how to serve it.")
        chosen = st.dataframe(
            pd.DataFrame(history.history(records, names)), key=f"export_history:{len(records)}",
            hide_index=True, row_height=58, on_select="rerun", selection_mode="single-row",
            column_config={
                "when": st.column_config.DatetimeColumn("when", format="YYYY-MM-DD HH:mm"),
                "model": st.column_config.TextColumn("model", width="large"),
                "MB": st.column_config.NumberColumn("MB", format="%.1f"),
                "where": st.column_config.TextColumn("where", width="large"),
            },
        )["selection"]["rows"]  # fmt: skip
    if chosen and chosen[0] < len(records):
        record = records[::-1][chosen[0]]
        st.text(history.model_text(record, names))
        _show(record)
