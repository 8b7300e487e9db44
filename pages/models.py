"""Models: the study that is open, and how to open another."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from engine.counted import counted, size_text
from pages.panels.models import (
    external_form,
    objective_form,
    objective_list,
    open_form,
    reference_list,
)
from studio import modelling
from studio import study_editor as adding
from studio.charts.toolbar import STOCK
from studio.glossary import WORDS
from studio.points import vectors
from studio.points.view import axes_of
from ui import frame as state
from ui import jobs, listing, opened
from ui.front import front_axes

bench = state.enter("Models", otherwise=open_form.show)
axes = axes_of(bench.objectives)
measuring = f"{opened.session()}:measure"
looking = f"{opened.session()}:geometry"


def show_family() -> None:
    """The open study: its models, the checks it passed, the memory it needs."""
    family = bench.family
    st.code(str(bench.study.path), language=None, wrap_lines=True)
    listing.table(modelling.table(family), paths=("directory",))
    st.text(modelling.tokenizer_text(family))
    st.subheader("Compatibility", anchor=False)
    open_form.show_checks(
        (*modelling.checks_of(bench), modelling.finite_check(bench.opened is not None))
    )
    st.subheader("Memory", anchor=False)
    device, dtype = modelling.computes(bench)
    rows, there = modelling.memory(family, dtype)
    for row in rows:
        name, needed, what = st.columns([2, 3, 6], gap="small")
        name.text(row.name)
        verdict = "fits" if row.memory.fits else "more than available"
        needed.text(f"{size_text(row.memory.needed)}, {verdict}")
        what.text(row.what)
    st.text(modelling.room_text(there, device))


def show_vectors() -> None:
    """How far each expert moved, and in which direction."""
    found = vectors.geometry_of(bench)
    if found is None:
        st.text(
            "A task vector is what fine-tuning changed in an expert. Measuring them reads every "
            "model once; the result is saved."
        )
        task = bench.task(looking)
        running = task is not None and not task.status.over
        if bench.opened is None:
            st.text("Waiting for the worker to open the study.")
        elif not running and st.button("Measure the task vectors", key="measure_vectors"):
            # as a sweep it makes way for what a user asks
            bench.submit("Measuring the task vectors", "geometry", {}, looking, "sweep")
        jobs.endings(bench, (looking,))
        return
    st.subheader("Relative norms in percent", anchor=False, help=WORDS["task vector"])
    st.text(vectors.NORMS)
    st.plotly_chart(vectors.norms_figure(found), key="norms", alt=vectors.NORMS, config=STOCK)
    with st.expander("The norms as a table"):
        st.dataframe(pd.DataFrame(vectors.norms_table(found)), hide_index=True)
    st.subheader("Cosines between task vectors", anchor=False)
    if len(found.experts) < 2:
        st.text("This family has one expert: there is nothing to compare.")
        return
    st.text(vectors.COSINES)
    group = st.selectbox("Over", found.columns, key="cosines_over", width=260)
    st.plotly_chart(
        vectors.cosines_figure(found, group), key="cosines", alt=vectors.COSINES, width="content",
        config=STOCK,
    )  # fmt: skip
    with st.expander("The cosines as a table"):
        st.dataframe(pd.DataFrame(vectors.cosines_table(found, group)), hide_index=True)


def show_objectives() -> None:
    """What is measured, what is not yet, and a form for more."""
    measured = bench.measured()
    counts = adding.measured_of(measured)
    rows = [
        {
            "objective": axis.label,
            "scorer": each.scorer,
            "data": "none" if each.data is None else str(each.data),
            "points": f"{counts.get(each.name, 0)} of {len(measured)}",
        }
        for axis, each in zip(axes, bench.objectives, strict=True)
    ]
    listing.table(rows, paths=("data",))
    objective_list.show(bench, counts)
    show_lacking()
    objective_form.show(bench)


def show_lacking() -> None:
    """Points that lack a score, and the buttons that measure what is missing, nothing else."""
    measured = bench.measured()
    singles = bench.task("singles")
    own = singles is None or not singles.status.over  # the app scores the unmerged models
    every = adding.lacking(measured, singles=not own)
    front = adding.on_front(measured, front_axes(bench), every)
    task = bench.task(measuring)
    if bench.opened is not None and every and (task is None or task.status.over):
        many = len(every)
        said = ", ".join(adding.lacked(measured, every))
        st.text(f"{counted(many, 'point lacks', 'points lack')} a score: on {said}.")
        asked = None
        with st.container(horizontal=True):
            few = "one" if len(front) == 1 else str(len(front))
            if 0 < len(front) < many and st.button(
                f"Measure the {few} on the front", key="measure_front"
            ):
                asked = front
            if st.button("Measure it" if many == 1 else f"Measure all {many}", key="measure_all"):
                asked = every
        if asked is not None:
            recipes = [measured.recipes[row] for row in asked]
            bench.evaluate(recipes, "Scoring missing objectives", measuring, "sweep")
            st.rerun()
    jobs.endings(bench, ("singles", measuring))


family, task_vectors, objectives, others, another = st.tabs(
    ["Family", "Task vectors", "Objectives", "Results of others", "Open another study"]
)
with family:
    show_family()
with task_vectors:
    show_vectors()
with objectives:
    show_objectives()
with others:
    reference_list.show(bench, f"{opened.session()}:references")
    external_form.show(bench)
with another:
    open_form.show(bench.study.path)
