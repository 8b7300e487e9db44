"""Where an export goes, its format, what it will write, and the button."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from engine.errors import BadInput
from studio.export import exports
from studio.export.model import Model
from studio.workbench import Workbench
from studio.worker_words import waiting_words
from ui import browse
from ui import frame as state
from ui.recipe import anchored

FITS = 60
"""Letters that a field shows at 1280 pixels; a longer path is said in full below it."""


def ask(bench: Workbench, model: Model, job: str) -> None:
    """The form; "Export" writes exactly this model.

    Args:
        job: the session under which it runs.
    """
    waiting = waiting_words(bench, "Export")
    out = _place(bench, bench.point_id(model.recipe))
    adapter = False
    if bench.adapter_only(model.recipe):
        form = st.radio(
            "Write as", ["LoRA adapter", "merged checkpoint"], horizontal=True,
            help="The adapter is exact; a merged checkpoint reports its rounding difference",
        )  # fmt: skip
        adapter = form == "LoRA adapter"
    try:
        plan = exports.foretell(bench, model.recipe, adapter)
    except BadInput as error:  # a link that leaves the model's directory, say
        state.show_problems(error.problems)
        return
    problem = exports.refusal(out, plan.bytes)
    with st.expander(f"Will write {exports.room(out, plan)}"):
        st.code(exports.planned(plan), language=None)
        if plan.beside:
            needs = ", ".join(f"{name} ({bench.family.models[name].path})" for name in plan.beside)
            st.text(f"These models must stay where they are: {needs}.")
    if problem:
        state.show_problems([problem])
    running = (task := bench.task(job)) is not None and not task.status.over
    pressed = st.button(
        "Export", type="primary", key="start_export", disabled=running or bool(waiting),
        help=waiting or "It is reloaded and compared with the live model before it appears",
    )  # fmt: skip
    if waiting:
        st.text(waiting)
    if not pressed:
        return
    if problem:
        st.error("Nothing was written.", icon=":material/error:")
        return
    bench.export(model.recipe, out, adapter=adapter, session=job)
    st.rerun()


def _place(bench: Workbench, point: str) -> Path:
    """The requested directory; after an export another one is proposed."""
    done = sum(each.get("point") == point for each in bench.store.records("export"))
    key = f"place:{point}:{done}"
    default = exports.default_place(bench.workspace, bench.study.name, point)
    text = browse.field(
        "Directory on this server", key, new=default.name, persist_state=None,
        value=anchored(key, str(default)), help="Must not exist yet, or must be empty",
    )  # fmt: skip
    if len(text) > FITS:
        st.code(text.strip(), language=None, wrap_lines=True)
    try:
        return Path(text.strip()).expanduser()
    except RuntimeError:  # no such ~user: refused as it stands
        return Path(text.strip())
