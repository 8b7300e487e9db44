"""The frame of the app: `python app.py` starts the server, which runs this file for every page.

python app.py [--study PATH] [--port 8501] [--workspace DIR] [--device auto] [--compute-dtype …]
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
SETTINGS = {
    "study": "PARETOSCOPE_STUDY",
    "workspace": "PARETOSCOPE_HOME",
    "device": "PARETOSCOPE_DEVICE",
    "compute_dtype": "PARETOSCOPE_COMPUTE_DTYPE",
}


def launch(arguments: list[str]) -> None:
    """Become the server, the settings passed on in the environment."""
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
            os.environ[variable] = str(Path(value).expanduser().absolute()) if path else value
        else:
            os.environ.pop(variable, None)
    os.chdir(ROOT)  # where .streamlit/config.toml is looked for
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py")]
    command += ["--server.port", str(options["port"])]
    os.execv(sys.executable, command)


def main() -> None:
    """One run of the page that the browser asks for."""
    import streamlit as st

    with st.spinner("Starting"):  # the first import takes seconds
        from pages.parts import state

    state.navigation().run()


if __name__ == "__main__":
    from streamlit.runtime import exists

    if exists():
        main()
    else:
        launch(sys.argv[1:])
