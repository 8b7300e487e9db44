"""Jobs of this page whose results a reload finds again.

a job ──► kept by its id, on this server ──► the id in the address ──► the job, with its result
"""

from __future__ import annotations

from collections import OrderedDict

import streamlit as st

from studio.task import Task

KEPT = 32


@st.cache_resource(show_spinner=False)
def _kept() -> OrderedDict[str, Task]:
    """Job id -> job, the latest of all sessions."""
    return OrderedDict()


def keep(key: str, task: Task) -> None:
    """Remember a job for a reload; the address holds its id under `key`."""
    kept = _kept()
    kept[task.handle.id] = task
    while len(kept) > KEPT:
        kept.popitem(last=False)
    st.query_params[key] = task.handle.id


def kept(key: str, kind: str, study: str) -> Task | None:
    """The job that the address names, where this server still has it; of this study and kind."""
    task = _kept().get(st.query_params.get(key, ""))
    if task is None or task.handle.job.kind != kind:
        return None
    return task if task.handle.job.payload["study"] == study else None
