"""What every page starts with: configuration, the study, the header. One call: `enter`.

A page may be entered past app.py (until the first `st.navigation` of a server process Streamlit
runs pages/*.py directly), so nothing a page needs is set up anywhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import streamlit as st

from engine.errors import BadInput, ParetoscopeError, Problem, first_problems
from studio.workbench import Workbench
from ui import address, header, help_menu, jobs_bar, streamlit_faults, tray_menu, unforeseen
from ui.opened import connect, settled
from ui.place import running

ROOT = Path(__file__).resolve().parents[1]


def choose_study(path: Path) -> None:
    """Open another study in this browser session, on Explore. Ends this run of the page."""
    kept = ("session", "entered")
    for name in [each for each in st.session_state if each not in kept]:
        del st.session_state[name]
    st.session_state["study"] = str(path)
    st.switch_page(page("explore"), query_params={"study": str(path)})


def page(name: str) -> Path:
    """The file of a page, for links between pages."""
    return ROOT / "pages" / f"{name}.py"


def navigation() -> st.Page:
    """The pages of the app; `/explore` is the first page's second address."""
    st.session_state["navigated"] = True
    return st.navigation(
        [
            st.Page(page("explore"), title="Explore", url_path="start", default=True),
            st.Page(page("explore"), title="Explore", url_path="explore", visibility="hidden"),
            st.Page(page("compare"), title="Compare"),
            st.Page(page("sweeps"), title="Sweeps"),
            st.Page(page("models"), title="Models"),
            st.Page(page("export"), title="Export"),
        ],
        position="top",
    )


def export_link(model: Mapping[str, str | None], help: str | None = None) -> None:
    """The way to Export with a model: a link, by its page and not its file, since a fragment may be
    drawn again alone, where no page has been registered.

    Args:
        model: what of an address names it: a point's id, or a recipe.
    """
    there, named = st.Page(page("export"), title="Export"), {k: v for k, v in model.items() if v}
    st.page_link(there, label="Export…", width="stretch", query_params=named, help=help)


def show_problems(problems: Sequence[Problem]) -> None:
    """The first problems: where, what, what to do. Shown as text, never as Markdown."""
    for problem in first_problems(problems):
        with st.container(border=True, gap="xsmall"):
            st.text(problem.where)
            st.code(problem.what, language=None, wrap_lines=True)
            if problem.fix:
                st.text(problem.fix)


def enter(title: str, otherwise: Callable[[], None] | None = None) -> Workbench:
    """Configure the page, open the study and draw the header; every page calls this first.

    Where the study cannot be opened, each problem is shown and the page ends here.

    Args:
        otherwise: drawn below the problems, before the page ends.
    """
    st.set_page_config(
        page_title=f"{title} · Paretoscope",
        # a local file: an icon by name would be fetched from the network
        page_icon=ROOT / "ui" / "components" / "icon.svg",
        layout="wide",
    )
    if not st.session_state.pop("navigated", False):
        navigation()
        st.session_state.pop("navigated")
        if st.session_state.setdefault("entered", False) is False:
            st.session_state["entered"] = True
            st.rerun()  # through app.py, now that the pages are known
    st.html(ROOT / "ui" / "components" / "style.css")
    settled()
    streamlit_faults.on_page(*running())
    if address.came_back():
        address.take_up_again()
    try:
        bench = connect()
        st.query_params["study"] = str(bench.study.path)  # an address leads back to its study
    except ParetoscopeError as error:
        unforeseen.show_kept()
        st.error("This study cannot be opened.", icon=":material/error:")
        if isinstance(error, BadInput):
            show_problems(error.problems)
        else:  # the workspace takes nothing
            st.code(str(error), language=None, wrap_lines=True)
        st.text("Fix it, then reload this page.")
        if otherwise is None:
            st.page_link(page("models"), label="Open another study")
        else:
            otherwise()
        st.stop()
    with st.container(horizontal=True, vertical_alignment="center", key="top_line"):
        with st.container():
            header.header(bench, title)
        jobs_bar.bar(bench, title)
        address.keep_tray(bench)
        help_menu.menu(bench, page("explore"))
        tray_menu.menu(bench, page("compare"))
    unforeseen.show_kept()
    return bench
