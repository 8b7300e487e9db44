"""What the worker is doing, in the header of every page: task, progress, time left, queue."""

from __future__ import annotations

import streamlit as st

from studio.at_work import Work, at_work
from studio.workbench import Workbench
from ui import news

LOOK_SECONDS = 0.5
OWN = {"Sweeps": ("sweep:", ":estimate:"), "Compare": (":compare:",)}
"""What a page itself shows, larger."""


def shown(bench: Workbench, title: str) -> list[Work]:
    """The work that the header of a page shows."""
    return at_work(bench, OWN.get(title, ()))


def keys(bench: Workbench, title: str) -> tuple[str, ...]:
    """Names of the work shown; a page is drawn again where another runs. The study's opening
    changes a page when it has ended, not when it begins."""
    return tuple(
        sorted(each.key for each in shown(bench, title) if not each.key.startswith("open:"))
    )


def ended(bench: Workbench, session: str, title: str) -> frozenset[str]:
    """Ids of the jobs of a browser session that are over, but for those that a page shows itself:
    one may begin and end between two looks, and its page has to be drawn again all the same."""
    own = OWN.get(title, ())
    return frozenset(
        task.handle.id
        for key, task in bench.tasks().items()
        if key.startswith(session)
        and task.status.over
        and not any(each in f"{key}:" for each in own)
    )


def bar(bench: Workbench, title: str) -> None:
    """The first piece of work on one line, the others behind a press."""

    @st.fragment(key="jobs_bar")
    def show() -> None:
        news.listen("jobs_bar", lambda: _faces(bench, title), LOOK_SECONDS)
        works = shown(bench, title)
        if not works:
            return
        with st.container(key="jobs_bar", horizontal=True, vertical_alignment="center"):
            with st.container(key="jobs_now", gap=None):
                st.text(works[0].what)
                st.progress(works[0].part)
                st.text(works[0].stands)
            _cancel(works[0])
            if works[1:]:
                with st.popover(f"{len(works) - 1} more", type="tertiary", key="jobs_more"):
                    for each in works[1:]:
                        _line(each)

    show()


def _faces(bench: Workbench, title: str) -> list[tuple[str, str, float]]:
    """What the bar shows of each piece of work."""
    return [(each.key, each.stands, each.part) for each in shown(bench, title)]


def _line(work: Work) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.text(f"{work.what}: {work.stands}", width="stretch")
        _cancel(work)


def _cancel(work: Work) -> None:
    if work.cancel is not None:
        st.button("Cancel", key=f"cancel:{work.key}", on_click=work.cancel)
