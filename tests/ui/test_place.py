"""A page that the browser threw away is asked for again."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ui import frame, header, place
from ui.place import Place


class Switched(Exception):
    """Streamlit's own way out of a run."""


def running(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    context = SimpleNamespace(page_script_hash=name)
    monkeypatch.setattr(place, "get_script_run_ctx", lambda: context)


def test_a_run_of_another_page_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    running("hash of export", monkeypatch)
    here = Place.here("export")
    assert not here.left
    running("hash of explore", monkeypatch)
    assert here.left


def test_a_late_run_of_the_page_before_asks_for_the_page_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def switch(page: object, *, query_params: object) -> None:
        asked.append((page, query_params))
        raise Switched

    monkeypatch.setattr(header.st, "switch_page", switch)
    running("hash of explore", monkeypatch)
    drawn = Place("export", "hash of export", {"point": "0123456789ab"})
    with pytest.raises(Switched):  # before the bench is looked at
        header._draw.__wrapped__(None, drawn, frame.page("export"), None, [True])
    assert asked == [(frame.page("export"), {"point": "0123456789ab"})]
