"""The header of every page: the study, its points, the worker; and when the page is redrawn.

Pulse.look, on the server: takes the study on, compares what is there with what the page shows
    ──► news ──► the header's run ──► only its own text differs: drawn in place
                                  └─► points, work or tray differ: the whole page again
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal

import streamlit as st

from cache.damage import told
from cache.store import Store
from engine.counted import counted
from engine.errors import shown
from engine.recipe import Recipe
from studio.points.view import Measured
from studio.sweeps import queue as sweeping
from studio.task import WorkerState
from studio.workbench import Workbench
from ui import jobs_bar, news, tray
from ui.opened import session

LOOK_SECONDS = 0.25

Colour = Literal["gray", "green", "blue", "red"]
WORKER_WORDS = {
    "starting": "worker starting",
    "ready": "worker ready",
    "busy": "worker busy",
    "failed": "worker failed",
}
WORKER_COLOURS: dict[str, Colour] = {
    "starting": "gray",
    "ready": "green",
    "busy": "blue",
    "failed": "red",
}

Seen = tuple[object, ...]


class Pulse:
    """What one browser session's page shows of a study, and whether it is due to be drawn again.

    Args:
        page: name of the browser session.
        title: of the page.
        tray: the session's own list.
    """

    def __init__(self, bench: Workbench, page: str, title: str, tray: Sequence[Recipe]) -> None:
        self._bench = bench
        self._page = page
        self._title = title
        self._tray = tray
        self._shown: Seen | None = None
        self.due = False

    def _go_on(self) -> Seen:
        """Take the study on, and say what a page shows of it; another one draws it again."""
        bench = self._bench
        bench.held.here(self._page, time.monotonic())
        bench.advance()
        sweeping.advance(bench)
        failed = bench.worker().name == "failed"
        work = jobs_bar.keys(bench, self._title), jobs_bar.ended(bench, self._page, self._title)
        return bench.version, bench.opened, failed, work, tuple(self._tray)

    def look(self) -> Seen:
        """What the header shows, and whether the page is due; called outside of a page's run.

        While a sweep runs, the pages that are open draw its points one after another.
        """
        now = self._go_on()
        before = self._shown = self._shown or now
        if now == before:
            self._bench.held.level(self._page)
        elif not self.due:
            points_alone = now[1:] == before[1:]
            self.due = not points_alone or self._bench.held.turn(self._page, time.monotonic())
        return self.due, *words(self._bench)


def words(bench: Workbench) -> tuple[str, str, WorkerState]:
    """Family and numerics, and the counts, in words; the worker."""
    names = bench.names
    experts = counted(len(names.experts), "expert")
    family = f"base, {experts}" + (", target" if names.has_target else "")
    if bench.known is not None:
        device, dtype, *_ = bench.known.numerics.split("/")
        family += f" · {device}, {dtype}"
    measured: Measured = bench.measured()
    counts = counted(len(measured), "point")
    if measured.failures:
        counts += f", {len(measured.failures)} failed"
    return family, counts, bench.worker()


def _damages(store: Store) -> None:
    """How much of the workspace is damaged and set aside, and what that was; nothing for none."""
    found = store.damages
    if found:
        with st.popover(f"{len(found)} damaged, set aside", type="tertiary", key="damages"):
            st.text("All other data is intact. Set aside, newest last:")
            lines = shown("\n".join(told(store.workspace, found)), lines=True, most=None)
            st.code(lines, language=None, wrap_lines=True)


def header(bench: Workbench, title: str) -> None:
    """Draw it on the page of this title."""
    # outside of any fragment: a server that was restarted knows none, and runs the whole page
    news.listen("page", tuple)
    _draw(bench, Pulse(bench, session(), title, tray.tray()), [])


@st.fragment(key="header")
def _draw(bench: Workbench, pulse: Pulse, drawn: list[bool]) -> None:
    news.listen("header", pulse.look, LOOK_SECONDS)
    if drawn and pulse.due:
        st.rerun()
    drawn.append(True)
    family, counts, worker = words(bench)
    with st.container(
        horizontal=True, vertical_alignment="center", gap="medium", key="study_header"
    ):
        st.text(bench.study.name, width="content")
        st.text(family, width="content")
        st.text(counts, width="content")
        _damages(bench.store)
        st.badge(WORKER_WORDS[worker.name], color=WORKER_COLOURS[worker.name])
        if worker.name == "failed" and st.button("Restart worker", key="restart", type="tertiary"):
            bench.restart()
            st.rerun()
    if worker.name == "failed":
        st.error("The worker failed. Points measured so far are safe.", icon=":material/error:")
        st.code(worker.reason, language=None, wrap_lines=True)
