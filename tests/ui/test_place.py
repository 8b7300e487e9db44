"""What a browser sends from a page that it has left is not answered."""

from __future__ import annotations

from collections import OrderedDict
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.proto.ClientState_pb2 import ClientState

from ui import place, streamlit_faults


def test_a_run_outside_of_the_server_has_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    assert place.running() == ("", "") and place.file_here() == ""
    context = SimpleNamespace(session_id="a", page_script_hash="explore")
    monkeypatch.setattr(place, "get_script_run_ctx", lambda: context)
    assert place.running() == ("a", "explore")


def test_a_fragment_of_a_page_that_was_left_is_not_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streamlit_faults, "_pages", OrderedDict())
    monkeypatch.setattr(streamlit_faults, "SESSIONS", 2)
    taken: list[str] = []
    ask: Any = streamlit_faults.stay_on_the_page(
        lambda session, state: taken.append(f"{state.fragment_id} on {state.page_script_hash}")  # type: ignore[union-attr]
    )

    def said(page: str, fragment: str = "", session: str = "a") -> list[str]:
        taken.clear()
        ask(SimpleNamespace(id=session), ClientState(page_script_hash=page, fragment_id=fragment))
        return list(taken)

    assert said("", "header") == ["header on "], "before any page is known"
    assert said("explore") == [" on explore"]
    assert said("explore", "header") == ["header on explore"]
    assert said("export") == [" on export"]
    assert said("explore", "header") == [], "the link to Export was clicked before"
    assert said("export", "header") == ["header on export"]
    assert said("explore", "header", session="b") == ["header on explore"], "another tab"
    streamlit_faults.on_page("a", "explore")  # led there by the server
    assert said("export", "header") == []
    assert said("explore", "header") == ["header on explore"]
    streamlit_faults.on_page("b", "explore")
    streamlit_faults.on_page("c", "explore")
    assert said("export", "header") == ["header on export"], "forgotten"
