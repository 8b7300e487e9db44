"""Sweeps: many points at once, by a design; estimated before they start, resumed after an end."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd
import streamlit as st

from engine.recipe import Recipe
from pages.panels.sweeps import form as sweep_form
from studio.points.view import Axis, axes_of
from studio.sweeps import figure as sweep_figure
from studio.sweeps import queue as sweeping
from studio.sweeps.estimating import Estimating, expected
from studio.sweeps.sweep import Sweep, there, words_of
from studio.sweeps.words import failed_points, past_rows, reference_words, running_words, when
from studio.workbench import Workbench
from ui import components, jobs
from ui import frame as state
from ui.recipe import anchored

LOOK_SECONDS = 0.5

bench = state.enter("Sweeps")
axes = {axis.name: axis for axis in axes_of(bench.objectives)}


def estimating() -> Estimating | None:
    return st.session_state.get("estimating")


def form_panel() -> None:
    """The form on the left, and what it would take.

    The form stands outside of the fragment that looks again by itself: a fragment's run may throw
    away what the run before it has not sent yet of the same fragment, and the browser then makes
    its widgets anew, without what was filled in.
    """
    found = estimating()
    busy = found is not None and found.busy(bench)
    form = sweep_form.ask(bench)
    ready = found is not None and found.finished and found.form == form
    asked = st.button(
        "Estimate again" if ready else "Estimate",
        key="estimate",
        type="secondary" if ready else "primary",
        width="stretch",
        disabled=form is None or busy or bench.opened is None,
        help="Measures one point of each method and says how long the sweep takes",
    )
    if asked and form is not None:
        st.session_state["estimating"] = Estimating(form, f"{state.session()}:estimate")
        st.session_state["estimating"].start(bench)
        st.rerun()

    @st.fragment(run_every=LOOK_SECONDS if busy else None, key="sweep_estimate")
    def show() -> None:
        with st.container(key="estimate_panel", gap="xsmall"):
            if found is not None:
                estimate_panel(found, form, busy)

    show()


def estimate_panel(found: Estimating, form: sweep_form.Form | None, busy: bool) -> None:
    """How far the estimate is, then what it says and a way to start."""
    sweep_form.progress(bench, found)
    if busy and not found.busy(bench):
        st.rerun()
    if not found.finished:
        return
    if form != found.form:
        st.text("The form has changed since the estimate: estimate again.")
        return
    lines = sweep_form.show_estimate(bench, found)
    if lines and st.button("Start", key="start", type="primary", width="stretch"):
        recipes = [recipe for line in lines for recipe in line.recipes]
        sweeping.enqueue(bench, found.form.designs, recipes, found.form.objectives, expected(lines))
        del st.session_state["estimating"]
        st.rerun()


def now_panel() -> None:
    """What runs and what waits; a fixed height, so that nothing below moves."""
    queue = sweeping.queue(bench)
    active = queue is not None and bool(queue.of_state("running", "waiting"))

    @st.fragment(run_every=LOOK_SECONDS if active else None, key="sweep_now")
    def show() -> None:
        sweeping.advance(bench)
        running = queue.running if queue is not None else None
        waiting = queue.of_state("waiting") if queue is not None else []
        resumable = queue.resumable if queue is not None else []
        with st.container(height=172, border=True, key="sweep_running", gap="xsmall"):
            if running is not None:
                show_running(running)
            for place, sweep in enumerate(waiting, 1):
                line(sweep, f"{place}. in the queue", {"Remove": sweeping.cancel})
            for sweep in resumable:
                stands = f"{sweep.state}, {there(bench, sweep)} of {sweep.count} points"
                line(sweep, stands, {"Resume": sweeping.resume, "Dismiss": sweeping.dismiss})
                if sweep.reason:
                    st.code(sweep.reason, language=None, wrap_lines=True)
            if running is None and not waiting and not resumable:
                st.text("No sweep runs.")
                st.text("1. Choose methods, objectives and a design on the left.")
                st.text("2. Estimate: one point is measured, and you see how long the sweep takes.")
                st.text("3. Start. You can close the page: the sweep goes on, and resumes later.")
        if active and running is None and not waiting:
            st.rerun()

    show()


def line(
    sweep: Sweep, stands: str, actions: Mapping[str, Callable[[Workbench, Sweep], None]]
) -> None:
    """A sweep that does not run, and what can be done with it."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.text(f"{stands}: {words_of(sweep)}, {when(sweep.created)}", width="stretch")
        for label, act in actions.items():
            if st.button(label, key=f"{label}:{sweep.id}"):
                act(bench, sweep)
                st.rerun()


def show_running(sweep: Sweep) -> None:
    run = sweep.run
    if run is None:
        return
    status = run.task.status
    part = jobs.fraction(status, sweep.objectives) * len(run.recipes)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.text(words_of(sweep), width="stretch")
        if st.button("Cancel", key=f"cancel:{sweep.id}", disabled=run.cancelled):
            sweeping.cancel(bench, sweep)
            st.rerun()
    st.progress(min(1.0, (sweep.count - len(run.recipes) + part) / sweep.count))
    st.text(running_words(sweep, run, status, there(bench, sweep)))


def chosen_axes() -> list[Axis]:
    """Over which objectives the hypervolume is."""
    names = list(axes)
    if len(names) == 1:
        return [axes[names[0]]]
    kept = st.session_state.setdefault("hypervolume_over", names[: sweep_figure.MOST])
    found = st.multiselect(
        "Hypervolume over",
        names,
        default=anchored("hypervolume_axes", kept),
        key="hypervolume_axes",
        max_selections=sweep_figure.MOST,
        format_func=lambda name: axes[name].label,
    )
    st.session_state["hypervolume_over"] = found
    return [axes[name] for name in found]


def chart_panel() -> None:
    """What each evaluation brought."""
    measured = bench.measured()
    chosen = chosen_axes()
    with st.container(height=sweep_figure.HEIGHT + 70, border=False, key="sweep_chart_panel"):
        if not chosen:
            st.text("Choose an objective.")
            return
        reference = sweep_figure.reference_of(measured, chosen, len(bench.names.models))
        if reference is None:
            st.text("Here the hypervolume grows with the points, once the models are scored.")
            return
        kept = st.session_state.get("sweep_curve")
        names = tuple(axis.name for axis in chosen)
        if kept is None or kept[0] is not measured or kept[1] != names:
            values = sweep_figure.evaluations(measured, chosen)
            old = kept[2] if kept is not None and kept[1] == names else None
            found = sweep_figure.curve(values, [a.maximize for a in chosen], reference, old)
            figure = sweep_figure.hypervolume_figure(found)
            kept = (measured, names, found, components.drawing(figure))
            st.session_state["sweep_curve"] = kept
        st.text(reference_words(kept[2], chosen, reference))
        components.chart(kept[3], key="sweep_chart", on_click=lambda: None)


def failed_panel() -> None:
    """Points that failed, why, and again."""
    failed = failed_points(bench)
    if not failed:
        return
    st.text("Failed points")
    st.dataframe(
        pd.DataFrame([{"recipe": text, "reason": reason} for _, text, reason, _ in failed]),
        hide_index=True,
        height=min(38 + 35 * len(failed), 220),
        key="failed",
    )
    objectives = sweep_form.filled().get("objectives") or list(axes)
    missing = [recipe for recipe, _, _, more in failed if more]
    if missing and st.button(
        f"Try again: {len(missing)}",
        key="again",
        disabled=bench.opened is None,
        help="Measures them on the objectives chosen on the left",
    ):
        again(missing, objectives)
        st.rerun()


def again(recipes: list[Recipe], objectives: list[str]) -> None:
    counts: dict[str, int] = {}
    for each in recipes:
        counts[each.method] = counts.get(each.method, 0) + 1
    designs = [
        {"method": method, "strategy": "again", "points": count} for method, count in counts.items()
    ]
    sweeping.enqueue(bench, designs, recipes, objectives, {})


def past_panel() -> None:
    """Every sweep there was."""
    queue = sweeping.queue(bench)
    rows = past_rows(queue) if queue is not None else []
    if rows:
        st.text("Sweeps so far")
        st.dataframe(
            pd.DataFrame(rows), hide_index=True, height=min(38 + 35 * len(rows), 260), key="past"
        )


components.library()
sweeping.advance(bench)
narrow, wide = st.columns([1, 1.9], gap="medium")
with narrow:
    form_panel()
with wide:
    now_panel()
    chart_panel()
    failed_panel()
    past_panel()
