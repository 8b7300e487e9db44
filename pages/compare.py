"""Compare: the answers of up to four recipes side by side, and the examples they differ on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from engine.errors import BadInput
from engine.recipe import Recipe
from engine.scoring.data import read_rows
from pages.panels.compare import along, answers, asking, blind, columns, examples
from pages.panels.compare.asking import TYPED, Ask
from pages.panels.compare.kept import keep, kept
from pages.panels.compare.who import Who
from studio.compare import ribbon
from studio.compare.comparing import DEFAULT_ROWS
from studio.compare.filters import first_rows
from studio.compare.questions import payload_of, refusal_of, with_next_seed
from studio.points.titles import name_of
from studio.task import Task
from ui import frame as state
from ui import jobs, opened, steps, tray, tray_menu

bench = state.enter("Compare")
job = f"{opened.session()}:compare"
evaluation = f"{opened.session()}:evaluate"
template = bench.family.tokenizer is not None and bool(bench.family.tokenizer.chat_template)


def ask_all(ask: Ask) -> None:
    """Every column answers the same prompts."""
    prompts = asking.prompts_of(ask, source, rows)
    ask.refusal = refusal_of(prompts)
    if not ask.refusal:
        payload = payload_of(tray.tray(), prompts, ask.settings, objective, typed=source == TYPED)
        keep("answers", bench.submit("Answering", "compare", payload, job))


def again(task: Task) -> None:
    """The same once more with the next seed."""
    payload = with_next_seed(task.handle.job.payload)
    if ask.settings.temperature > 0:
        ask.seeded(replace(ask.settings, seed=payload["seed"]))
    keep("answers", bench.submit("Answering", "compare", payload, job))


def asked_along(recipe: Recipe, slider: str, ends: ribbon.Range) -> dict[str, Any]:
    """The same prompts along a slider."""
    prompts = asking.prompts_of(ask, source, rows)
    typed = source == TYPED
    return ribbon.map_payload(recipe, slider, ends, prompts, ask.settings, objective, typed=typed)


if blind.voting():
    blind.booth(bench)
    st.stop()
measured = bench.measured()
columns.tell_unknown()
left, middle, right = st.columns([2, 1, 1])
with left:
    tray_menu.adder(bench, "add", "Add a model or a point of the front")
if not tray.tray():
    st.text("Nothing to compare yet.")
    st.text(
        "Add a model or a point of the front above, or press Compare next to a recipe's sliders."
    )
    st.page_link(state.page("explore"), label="Explore", icon=":material/arrow_back:")
    st.stop()
with middle:
    objective = columns.choose_objective(bench)
try:
    rows = read_rows(objective, "explore")
except BadInput as error:
    state.show_problems(error.problems)
    rows = ()
with right:
    source = asking.source(bool(rows))
found = examples.under_tray(bench, objective, len(rows)) if rows else None
by_rows = asking.ask_of(objective, asking.ROWS, rows, template)
if found is not None:
    by_rows.begin_with(first_rows(found, DEFAULT_ROWS))
    if sent := st.session_state.pop("compare_rows", None):  # from the rows of a point
        by_rows.choose(sent[:DEFAULT_ROWS])
ask = asking.form(objective, source, rows, template, ask_all)
columns.heads(bench, measured, objective)
task = bench.task(job) or kept("answers", "compare", str(bench.study.path))
if task is not None:
    names = [name_of(bench, each) for each in tray.tray()]
    teller = Who(bench, f"{opened.session()}:attribute")
    answers.show(task, list(tray.tray()), names, found, again, teller)
    if len(tray.tray()) > 1 and task.status.state == "done":
        steps.take(bench, "compare")
        blind.offer(bench, task, tray.tray())
else:
    st.text("Press Answer: every column answers the same prompts.")
along.panel(
    bench,
    f"{opened.session()}:map",
    refusal_of(asking.prompts_of(ask, source, rows))
    or ribbon.unmapped(ask.settings, objective, source == TYPED),
    asked_along,
)
jobs.endings(bench, (evaluation,))
if found is not None:
    examples.panel(bench, measured, objective, found, by_rows, evaluation)
