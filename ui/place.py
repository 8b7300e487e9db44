"""Which page a run draws."""

from __future__ import annotations

from streamlit.runtime.scriptrunner import get_script_run_ctx


def running() -> tuple[str, str]:
    """Streamlit's names of the browser session and of the page that this run belongs to."""
    context = get_script_run_ctx()
    return (context.session_id, context.page_script_hash) if context is not None else ("", "")


def file_here() -> str:
    """The file of the page that this run belongs to; empty if Streamlit knows no pages yet."""
    context = get_script_run_ctx()
    pages = context.pages_manager.get_pages() if context is not None else {}
    here = pages.get(running()[1])
    return here["script_path"] if here else ""
