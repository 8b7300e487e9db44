"""Python loads this by itself where its directory is on PYTHONPATH: faults in a served app's pages.

An address asks for one: `?fault=page`, `?fault=fragment`, `?fault=callback`, each raised by
the real Explore in the place named.
"""

from __future__ import annotations

import importlib.machinery
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

WHERE = {
    "pages.panels.explore.steps": ("one_minute", "page"),
    "ui.recipe": ("recipe_in_hand", "fragment"),
    "ui.tray": ("add", "callback"),
}


def _faulty(function: Callable[..., Any], place: str) -> Callable[..., Any]:
    def faulty(*args: Any, **options: Any) -> Any:
        import streamlit as st
        from streamlit.runtime.scriptrunner import get_script_run_ctx

        asked = st.session_state.setdefault("fault", st.query_params.get("fault"))
        again = bool(get_script_run_ctx().fragment_ids_this_run)
        if asked == place and (place == "page" or again):
            raise ZeroDivisionError(f"a fault in a {place}\x1b[2J <b>of</b> /home/somebody")
        return function(*args, **options)

    return faulty


class _Finder:
    """Lets a module be found as ever, and puts the fault into it once it is there."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        if name not in WHERE:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        assert spec is not None and spec.loader is not None
        run = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            attribute, place = WHERE[name]
            setattr(module, attribute, _faulty(getattr(module, attribute), place))

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, _Finder)
