"""Export: one point leaves as an ordinary checkpoint directory on the machine of this app."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from engine.errors import BadInput
from engine.recipe import Recipe, resolve
from pages.parts import jobs, state
from pages.parts.backend import Task
from pages.parts.exports import default_place, listing, refusal, written
from pages.parts.view import Measured, axes_of

backend = state.enter("Export")
axes = axes_of(backend.objectives)
job = f"{state.session()}:export"


def choose_point(measured: Measured) -> str | None:
    """The point that Explore handed over; without one, a choice among the front."""
    front = measured.front_of(axes)
    asked = st.query_params.get("point")
    rows = [row for row in range(len(measured)) if front[row] or measured.ids[row] == asked]
    ids = [measured.ids[row] for row in rows]
    if not ids:
        return None
    if asked is not None and asked not in ids:
        st.text(f"This study has no point {asked}.")
    point = st.selectbox(
        "Point", ids, index=ids.index(asked) if asked in ids else 0,
        format_func=lambda each: f"{measured.texts[measured.row_of[each]]} · {each}",
        help="The point in hand, and the front over all objectives",
    )  # fmt: skip
    return point


def show_scores(measured: Measured, point: str) -> None:
    row = measured.row_of[point]
    st.text("\n".join(f"{axis.label}  {measured.score_text(row, axis.name)}" for axis in axes))


def ask(recipe: Recipe, point: str) -> None:
    """The form: where to, in which form, checked or not."""
    with st.form("export_form"):
        place = st.text_input(
            "Directory on this server",
            value=str(default_place(backend.workspace, backend.study.name, point)),
            key=f"place:{point}",
            help="It must not exist or be empty",
        )
        adapter = False
        if backend.adapter_only(recipe):
            form = st.radio(
                "Write as", ["LoRA adapter", "merged checkpoint"], horizontal=True,
                help="The adapter is exact; a merged checkpoint states its difference",
            )  # fmt: skip
            adapter = form == "LoRA adapter"
        verify = st.checkbox(
            "Verify: load it again and compare its logits with the live model", value=True
        )
        if st.form_submit_button("Export", type="primary"):
            out = Path(place).expanduser()
            problem = refusal(out)
            if problem:
                st.error("Nothing was written.", icon=":material/error:")
                state.show_problems([problem])
                return
            backend.export(recipe, out, adapter=adapter, verify=verify, session=job)
            st.rerun()


def show_result(task: Task) -> None:
    """What was written, where, and how to serve it."""
    result = task.handle.result(0)
    out = Path(result["out"])
    st.success("Exported.", icon=":material/check_circle:")
    st.code(str(out), language=None)
    if result.get("verified"):
        st.text(f"Verified: largest difference of a logit {result['max_logit_difference']:.3g}.")
    elif result.get("verified") is False:
        st.error("The copy does not compute what the live model does: do not use it.")
    st.code(listing(written(out, result.get("files") or ())), language=None)
    st.text("Serve it:")
    st.code(f"vllm serve {out}", language="bash")


measured = backend.measured()
if not len(measured):
    st.text("Nothing to export yet: the first points are being scored.")
    jobs.activity(backend, ("singles",))
    st.stop()
point = choose_point(measured)
if point is None:
    st.text("Nothing to export yet: no point has a score of every objective.")
    st.stop()
left, right = st.columns(2, gap="large")
recipe = measured.recipes[measured.row_of[point]]
with left:
    st.code(recipe.to_yaml(), language="yaml")
    show_scores(measured, point)
with right:
    try:
        ask(resolve(recipe, backend.names), point)
    except BadInput as error:
        state.show_problems(error.problems)
    task = backend.task(job)
    if task is not None and task.status.state == "done":
        show_result(task)
    jobs.activity(backend, (job,))
