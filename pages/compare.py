"""Compare: the answers of up to four recipes side by side, and the examples they differ on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st

from cache.blobs import Blobs
from engine.errors import MOST, BadInput, shown
from engine.family.text import thawed
from engine.recipe import Recipe
from engine.scoring.data import Row, read_rows
from engine.study import Objective
from pages.panels.compare import answers, asking
from pages.panels.compare.asking import TYPED, Ask
from studio.compare import comparing, slices
from studio.points.titles import titled
from studio.points.view import Measured, axes_of
from studio.task import Task
from ui import frame as state
from ui import jobs, opened, steps, tray, tray_menu
from ui.recipe import anchored

bench = state.enter("Compare")
axes = axes_of(bench.objectives)
by_name = {axis.name: axis for axis in axes}
job = f"{opened.session()}:compare"
evaluation = f"{opened.session()}:evaluate"
template = bench.family.tokenizer is not None and bool(bench.family.tokenizer.chat_template)


@st.cache_resource(show_spinner=False)
def blobs(workspace: str) -> Blobs:
    return Blobs(workspace)


def tell_unknown() -> None:
    """What the address names for the tray and this study does not know."""
    unknown = st.session_state.get("tray_unknown", ())
    for name in unknown[:MOST]:
        st.text(f"This study has no {shown(name, most=80)}.")
    if len(unknown) > MOST:
        st.text(f"Nor {len(unknown) - MOST} more that the address names.")


def choose_objective() -> Objective:
    names = list(by_name)
    kept = st.session_state.get("compare_objective")
    at = anchored("compare_objective_box", names.index(kept) if kept in names else 0)
    chosen = st.selectbox(
        "Objective", names, index=at, key="compare_objective_box",
        format_func=lambda name: by_name[name].label,
    )  # fmt: skip
    st.session_state["compare_objective"] = chosen
    return next(each for each in bench.objectives if each.name == chosen)


def cards(measured: Measured, objective: Objective) -> None:
    """The head of each column: recipe, its score, and a way out of the tray."""
    for place, (each, card) in enumerate(
        zip(tray.tray(), st.columns(len(tray.tray()), border=True), strict=True)
    ):
        found = measured.nearest(each)
        score = "not measured"
        if found is not None and found.exact:
            score = measured.score_text(found.row, objective.name)
        with card.container(key=f"card:{place}", gap="xxsmall"):
            with st.container(horizontal=True, wrap=False):
                st.text(f"{comparing.LETTERS[place]} · {titled(bench, each)}", width="stretch")
                st.button(
                    "Remove", key=f"remove:{each.key}", type="tertiary", icon=":material/close:",
                    on_click=tray.remove, args=(each,),
                )  # fmt: skip
            st.text(f"{by_name[objective.name].label}  {score}")


def start(recipes: Sequence[Recipe], payload: dict[str, object]) -> None:
    payload = {"recipes": [each.as_dict() for each in recipes], **payload}
    answers.keep(bench.submit("Answering", "compare", payload, job))


def ask_all(objective: Objective, source: str, rows: Sequence[Row], ask: Ask) -> None:
    prompts = asking.prompts_of(ask, source, rows)
    ask.refusal = ""
    if not prompts:
        ask.refusal = "There is no prompt: type one."
    elif len(prompts) > comparing.PROMPTS:
        ask.refusal = f"{len(prompts)} prompts: {comparing.PROMPTS} can be answered at once."
    else:
        own: dict[str, object] = {"template_kwargs": thawed(objective.template_kwargs)}
        if source != TYPED:
            own |= {"stop": list(objective.stop), "top_k": objective.top_k}
        start(tray.tray(), {"prompts": prompts, **ask.settings.payload(), **own})


def again(ask: Ask, task: Task) -> None:
    """The same once more with the next seed."""
    payload = dict(task.handle.job.payload)
    payload["seed"] += 1
    if ask.settings.temperature > 0:
        ask.seeded(replace(ask.settings, seed=payload["seed"]))
    answers.keep(bench.submit("Answering", "compare", payload, job))


def choose_examples(ask: Ask, key: str, shown: Sequence[int]) -> None:
    chosen = st.session_state[key]["selection"]["rows"]
    if chosen:
        ask.choose([shown[place] for place in chosen])
        asking.turn_to_rows()


def evaluate(recipes: Sequence[Recipe]) -> None:
    bench.evaluate(recipes, f"Scoring {', '.join(map(str, recipes))}", evaluation)


def scoreless(recipe: Recipe, objective: Objective) -> bool:
    """Whether it was measured and has no score: its card says why, and a new try says the same."""
    found = measured.nearest(recipe)
    return (
        found is not None
        and found.exact
        and measured.without(found.row, objective.name) is not None
    )


def missing(recipes: Sequence[Recipe], objective: Objective) -> None:
    """Columns without a score on the objective, and the way to one."""
    with st.container(horizontal=True, vertical_alignment="center"):
        names = ", ".join(map(comparing.recipe_text, recipes))
        st.text(f"Not measured on {objective.name}: {names}", width="stretch")
        st.button(
            "Evaluate", key="compare_evaluate", on_click=evaluate, args=(recipes,),
            disabled=bench.opened is None,
        )  # fmt: skip


def scored(objective: Objective, recipes: list[Recipe], count: int) -> slices.Examples:
    """The examples under the tray; read again when scores came, or the data changed."""
    key = (bench.store.version, bench.known, objective.name, recipes, count)
    kept = st.session_state.get("scored")
    if kept is None or kept[0] != key:
        found = slices.load(bench, objective, recipes, blobs(str(bench.workspace)))
        kept = (key, found)
        st.session_state["scored"] = kept
    return kept[1]


def examples(objective: Objective, ask: Ask) -> None:
    """Every example of the objective with each column's value; selected rows become prompts."""
    recipes = list(tray.tray())
    found = scored(objective, recipes, len(rows))
    st.subheader("Examples", anchor=False, help="Every example with its value in each column")
    absent = [
        each
        for each, there in zip(recipes, found.measured, strict=True)
        if not there and not scoreless(each, objective)
    ]
    if absent:
        missing(absent, objective)
    if found.sentences():
        st.text(found.sentences())
    only = st.checkbox(
        "Only where columns differ", key="only_differing", disabled=len(found.columns) < 2
    )
    shown = np.flatnonzero(found.differing).tolist() if only else list(range(len(found)))
    key = f"examples:{objective.name}:{only}:{len(shown)}"
    st.dataframe(
        pd.DataFrame(found.table(shown)), key=key, hide_index=True, selection_mode="multi-row",
        on_select=lambda: choose_examples(ask, key, shown), height=min(38 + 35 * len(shown), 420),
        column_config={
            "line": st.column_config.NumberColumn("line", width=60),
            "prompt": st.column_config.TextColumn("prompt", width="large"),
        },
    )  # fmt: skip
    st.text("Selected rows become the prompts above.")


measured = bench.measured()
tell_unknown()
left, middle, right = st.columns([2, 1, 1])
with left:
    tray_menu.adder(bench, "add", "Add a model or a point of the front")
if not tray.tray():
    st.text("Nothing to compare yet.")
    st.text("Add a model or a point of the front above; or Compare a recipe beside its sliders.")
    st.page_link(state.page("explore"), label="Explore", icon=":material/arrow_back:")
    st.stop()
with middle:
    objective = choose_objective()
try:
    rows = read_rows(objective, "explore")
except BadInput as error:
    state.show_problems(error.problems)
    rows = ()
with right:
    source = asking.source(bool(rows))
ask = asking.form(
    objective, source, rows, template, lambda ask: ask_all(objective, source, rows, ask)
)
cards(measured, objective)
task = bench.task(job) or answers.kept(str(bench.study.path))
if task is not None:
    answers.show(task, list(tray.tray()), lambda task: again(ask, task))
    if len(tray.tray()) > 1 and task.status.state == "done":
        steps.take(bench, "compare")
else:
    st.text("Press Answer: every column answers the same prompts.")
jobs.endings(bench, (evaluation,))
if rows:
    examples(objective, asking.ask_of(objective, asking.ROWS, rows, template))
