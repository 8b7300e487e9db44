"""The frame of the app: `python app.py` starts the server, which runs this file for every page.

python app.py [--study PATH] [--port 8501] [--workspace DIR] [--device auto] [--compute-dtype …]
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from engine.private import keep_private

ROOT = Path(__file__).resolve().parent
ADDRESS = "127.0.0.1"
SETTINGS = {
    "study": "PARETOSCOPE_STUDY",
    "workspace": "PARETOSCOPE_HOME",
    "device": "PARETOSCOPE_DEVICE",
    "compute_dtype": "PARETOSCOPE_COMPUTE_DTYPE",
}


def launch(arguments: list[str]) -> None:
    """Replace this process by the server, passing settings in the environment."""
    parser = argparse.ArgumentParser(prog="app.py", description="Open Paretoscope in the browser.")
    parser.add_argument("--study", help="study file; without it the shipped demo opens")
    parser.add_argument(
        "--workspace", help="where points and exports live (default ~/.paretoscope)"
    )
    parser.add_argument("--device", help="auto, cpu, cuda, … (default auto)")
    parser.add_argument("--compute-dtype", help="float32, bfloat16, … (default by device)")
    parser.add_argument("--port", type=int, default=8501)
    options = vars(parser.parse_args(arguments))
    for name, variable in SETTINGS.items():
        value = options[name] or os.environ.get(variable)
        if value:
            path = name in ("study", "workspace")
            os.environ[variable] = _absolute(value, f"--{name}") if path else value
        else:
            os.environ.pop(variable, None)
    keep_private()
    refusal = unusable(options["port"], os.environ.get("PARETOSCOPE_HOME"))
    if refusal:
        from engine.errors import shown

        sys.stderr.write(shown(refusal) + "\n")
        sys.exit(2)
    # several threads for 10,000 × 10 numbers wait for each other: a fit took 200 ms and not 7
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.chdir(ROOT)  # where .streamlit/config.toml is looked for
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py")]
    command += ["--server.port", str(options["port"])]
    os.execv(sys.executable, command)


def _absolute(value: str, option: str) -> str:
    """A path relative to where the app was started; exits if it is invalid."""
    from engine.errors import shown

    try:
        return str(Path(value).expanduser().absolute())
    except RuntimeError as error:  # no such ~user
        sys.stderr.write(shown(f"{option}: {value!r} is not a path ({error}).") + "\n")
        sys.exit(2)


def unusable(port: int, workspace: str | None) -> str | None:
    """Why the app cannot start on this port and workspace, and what to do; None if it can."""
    import socket

    from cache.journal import make_directory
    from cache.point import default_workspace
    from engine.errors import ParetoscopeError

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError as error:
            fix = "Stop what listens there, or choose another: make app PORT=8502."
            return f"port {port} on {ADDRESS} cannot be used ({error.strerror}). {fix}"
    try:
        make_directory(Path(workspace) if workspace else default_workspace())
    except ParetoscopeError as error:
        return str(error)
    return None


def main() -> None:
    """One run of the page that the browser asks for."""
    import streamlit as st

    with st.spinner("Starting"):  # the first import takes seconds
        from engine.errors import show_logs
        from ui import frame as state

    show_logs("%(message)s")

    state.navigation().run()


@asynccontextmanager
async def serving(_: object) -> AsyncIterator[None]:
    """The time that the server runs: what it writes is its owner's alone, and while the browser
    still loads what Streamlit is made of, the pages are imported and the study is opened."""
    keep_private()  # already, but where `streamlit run app.py` started it
    threading.Thread(target=prepare, name="prepare", daemon=True).start()
    yield


def prepare() -> None:
    """Loads what the first page would wait for."""
    from pages.panels.explore import charting, prefer  # noqa: F401
    from ui import opened

    opened.prepare()
    import pandas  # noqa: F401  (Streamlit does, at a page's first component)


def unforeseen(error: Exception) -> bool:
    """Shows unexpected errors of a page in the app's own words."""
    from ui.unforeseen import told

    return told(error)


if __name__ != "__main__":  # the server takes `app` from here; every page runs this file, without
    from starlette.middleware import Middleware
    from streamlit import App

    from ui import library, news
    from ui.document import Document
    from ui.guard import Guard

    app = App(
        ROOT / "app.py",
        routes=[library.route(), news.route()],
        middleware=[Middleware(Guard), Middleware(Document)],
        on_script_error=unforeseen,
        lifespan=serving,
    )

else:
    from streamlit.runtime import exists

    if exists():
        main()
    else:
        launch(sys.argv[1:])
