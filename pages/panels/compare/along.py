"""The answers of one column along a slider: what is mapped, and the ribbon of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from engine.recipe import Recipe
from pages.panels.compare.kept import keep, kept
from studio.compare import ribbon
from studio.compare.comparing import title
from studio.points.titles import name_of
from studio.task import Task, words
from studio.workbench import Workbench
from ui import news, tray
from ui.components import declare
from ui.recipe import anchored, hand

LOOK_SECONDS = 0.12

_ribbon = declare("ribbon", '<div class="ribbon"></div>')


def panel(
    bench: Workbench,
    job: str,
    refused: str,
    payload: Callable[[Recipe, str, ribbon.Range], dict[str, Any]],
) -> None:
    """Choose a column and one of its sliders, and go along it; nothing where none has a map.

    Args:
        job: the session of its jobs.
        refused: why what is asked has no map; empty where it has.
        payload: of a job "map".
    """
    recipes = tray.tray()
    found = [ribbon.mapped_sliders(each, bench.study, bench.names) for each in recipes]
    places = [place for place, each in enumerate(found) if each]
    if not places:
        return
    task = bench.task(job) or kept("map", "map", str(bench.study.path))
    st.subheader(
        "Along a slider", anchor=False,
        help="All answers of one column as one of its sliders moves, and the values at which they "
        "change: computed exactly, for methods that add up logits",
    )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="bottom", key="along_line"):
        shown = {} if task is None else task.handle.job.payload
        titles = [title(n, recipes[n], name_of(bench, recipes[n])) for n in places]
        asked_of = [recipes[n].as_dict() for n in places]
        at = _choose("Column", titles, asked_of, shown.get("recipe"))
        sliders = found[places[at]]
        names = list(sliders)
        slider = names[_choose("Slider", names, names, shown.get("slider"))]
        if st.button("Map", key="map", disabled=bool(refused), help=refused or None):
            ends = sliders[slider]
            what = f"Mapping {slider}"
            st.session_state.pop("along_used", None)
            asked = payload(recipes[places[at]], slider, ends)
            task = bench.submit(what, "map", asked, job)
            keep("map", task)
    if refused:
        st.text(refused)
    if task is not None:
        _show(bench, task)
    else:
        st.text("Press Map: the prompts above are answered for every value of the slider.")


def _choose(label: str, options: Sequence[str], values: Sequence[Any], shown: Any) -> int:
    """Draw a selectbox, which begins with the value of the map that is shown."""
    before = st.session_state.get(f"along_{label}")
    first = values.index(shown) if shown in values else 0
    key = f"along:{label}:{hash(tuple(options))}"
    at = anchored(key, options.index(before) if before in options else first)
    chosen = st.selectbox(label, options, index=at, key=key, width=360)
    st.session_state[f"along_{label}"] = chosen
    return options.index(chosen)


def _show(bench: Workbench, task: Task) -> None:
    """Draw a map once it is there."""
    running = not task.status.over

    @st.fragment(key="along")
    def draw() -> None:
        news.listen("along", lambda: (task.status.state, task.status.progress), LOOK_SECONDS)
        status = task.status
        if st.session_state.pop("along_rerun", False) or (running and status.over):
            st.rerun()
        if not status.over:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.text(f"{task.what}: {words(status)}")
                if st.button("Stop", key="stop_map"):
                    task.handle.cancel()
            return
        if status.state == "failed":
            if status.failure == "cancelled":
                st.text("Stopped.")
                return
            st.error("There is no map.", icon=":material/error:")
            st.code(status.reason or "no reason was given", language=None, wrap_lines=True)
            return
        data = ribbon.drawn(task.handle.result(0), task.handle.id)
        data["full"] = len(tray.tray()) >= tray.LIMIT
        _ribbon(key="ribbon", data=data, on_used_change=lambda: _use(bench, task))
        if told := st.session_state.get("along_used"):
            st.text(told)

    draw()


def _use(bench: Workbench, task: Task) -> None:
    """Take the value that the ribbon stands at."""
    used = st.session_state["ribbon"]["used"]
    recipe = ribbon.moved(task.handle.job.payload, float(used["value"]), bench.names)
    if used["where"] == "tray":
        tray.add(recipe)
        st.session_state["along_used"] = f"{recipe} is a column above: press Answer."
    else:
        hand().load(recipe)
        st.session_state["along_used"] = f"The sliders on Explore are at {recipe}."
    st.session_state["along_rerun"] = True
