"""What the pages of a server process share: the workspace and the open studies."""

from __future__ import annotations

import atexit
import gc
import logging
import os
import uuid
from pathlib import Path

import streamlit as st

from cache.store import Store
from engine import unfinished
from engine.errors import ParetoscopeError
from engine.jobs.executor import Executor
from engine.private import tighten
from engine.replacing import clean_beside
from engine.study_file import study_file
from studio.opening import read_study, remember_study
from studio.workbench import Workbench
from ui import streamlit_faults as mending

log = logging.getLogger(__name__)


def workspace() -> Path:
    """`$PARETOSCOPE_HOME`, else ~/.paretoscope."""
    return Path(os.environ.get("PARETOSCOPE_HOME") or "~/.paretoscope").expanduser().absolute()


def demo_path() -> Path:
    """The shipped demo's study file in the workspace, written there at first use, with points."""
    from engine.demo import demo_in

    return demo_in(workspace())


def study_path() -> Path:
    """The study of this browser session: what the URL names, else what was opened in it, else
    `$PARETOSCOPE_STUDY`, else the demo. Raises `BadInput` where it is no path."""
    asked = st.query_params.get("study")
    if asked:
        st.session_state["study"] = asked
    chosen = st.session_state.get("study") or os.environ.get("PARETOSCOPE_STUDY")
    if not chosen:
        return demo_path()
    return study_file(chosen, Path.cwd())


@st.cache_resource(show_spinner=False)
def settled() -> bool:
    """Once per server process: what is imported stays, so the collector may skip it."""
    mending.mend()
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)
    return True


@st.cache_resource(show_spinner=False)
def _engine(home: Path) -> tuple[Store, Executor]:
    """Store and executor of a workspace, one of each per server process."""
    from engine.jobs.local import LocalExecutor

    tighten(home)
    unfinished.clean(home)
    store = Store.open(home)
    executor = LocalExecutor(
        home,
        device=os.environ.get("PARETOSCOPE_DEVICE") or "auto",
        compute_dtype=os.environ.get("PARETOSCOPE_COMPUTE_DTYPE") or None,
        on_rows=store.append,
        claims=store.claims,
    )
    atexit.register(store.close)
    atexit.register(executor.close)
    return store, executor


@st.cache_resource(show_spinner=False)
def _bench(path: Path, changed: int, home: Path) -> Workbench:
    """The bench of a study file; a changed file is read again. A refusal is not remembered."""
    clean_beside(path)
    study, objectives, family = read_study(path)
    store, executor = _engine(home)
    remember_study(store, study)
    return Workbench(study, objectives, family, home, store, executor)


def connect() -> Workbench:
    """The bench of the study chosen; raises `BadInput` with every problem."""
    with st.spinner("Reading the study"):
        return _open(study_path())


def _open(path: Path) -> Workbench:
    changed = path.stat().st_mtime_ns if path.exists() else 0
    return _bench(path, changed, workspace())


def prepare() -> None:
    """Open the study that the first page shows, before it is asked for. One that cannot be opened
    is the page's to tell."""
    chosen = os.environ.get("PARETOSCOPE_STUDY")
    try:
        path = study_file(chosen, Path.cwd()) if chosen else demo_path()
        _open(path)
    except ParetoscopeError as error:
        log.info("not opened ahead: %s", error)
    settled()


def store() -> Store:
    """The store of the workspace, whatever study is open."""
    return _engine(workspace())[0]


def session() -> str:
    """A name of this browser session, under which its jobs run."""
    return st.session_state.setdefault("session", uuid.uuid4().hex)
