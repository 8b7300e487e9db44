"""Which token is whose, from what the engine says of it."""

from __future__ import annotations

from typing import Any

import pytest

from engine.jobs.executor import Status
from engine.recipe import Names, Recipe, resolve, unmerged
from studio.compare.attribution import attributable, payload_of, with_attribution
from studio.compare.comparing import Asked, grid

NAMES = Names(("a", "b"))
PROXY = resolve(Recipe("proxy_tuning", {"a": 1.0, "b": 0.5}), NAMES)
MERGED = resolve(Recipe("task_arithmetic", {"a": 1.0}), NAMES)
BASE = resolve(unmerged("base"), NAMES)
TRAY = [MERGED, PROXY, BASE]
PAYLOAD: dict[str, Any] = {
    "study": "s", "recipes": [PROXY.as_dict(), MERGED.as_dict(), BASE.as_dict()], "chat": True,
    "prompts": ["p"], "temperature": 1.0,
}  # fmt: skip
TEXTS = {"0": "Ü it", "1": "merged", "2": "plain"}
FOUND = {
    "tokens": ["", "Ü", " it", "", ""],
    "probability": [0.5, 0.8, 0.9, 0.1, 0.1],
    "entropy": [0.0] * 5,
    "without": {"a": [0.5, 0.2, 0.9, 0.0, 0.0], "b": [0.1, 0.8, 0.8999, 0.0, 0.0]},
    "contribution": {"base": [0.5, -1.0, 0.0, 0.0, 0.0], "a": [0.25, 2.0, 0.0, 0.0, 0.0]},
}


def told(columns: Any, tray: Any = TRAY) -> dict[str, Any]:
    asked = Asked.of(PAYLOAD)
    texts = {int(n): text for n, text in TEXTS.items()}
    status = Status("done", texts=texts)
    return with_attribution(grid(tray, asked, status, None), tray, asked, columns)


def test_a_token_is_of_whoever_raised_it_most() -> None:
    found = told([[FOUND], [], []])
    merged, proxy, base = found["rows"][0]["cells"]
    assert found["who"]["names"] == ["a", "b"]
    assert "".join(piece[1] for piece in proxy["pieces"]) == "Ü it"
    (kind, text, first), (_, second, other) = proxy["pieces"]
    # two tokens of one character: 0.5 · 0.8 with all, 0.5 · 0.2 without a, 0.1 · 0.8 without b
    assert (kind, text, second) == ("same", "Ü", " it")
    assert first["who"] == 1 and first["size"] == pytest.approx(0.4 - 0.08)
    assert first["words"].splitlines() == [
        "probability 0.400", "without a 0.100", "without b 0.080",
        "contributions in nats: base −0.50, a +2.25",
    ]  # fmt: skip
    assert other["who"] is None and other["size"] == 0.0  # what rose by 0.0001 is nobody's
    assert merged["pieces"] == [("same", "merged")] and "nothing to attribute" in merged["note"]
    assert base["pieces"] == [("same", "plain")] and "nothing to attribute" in base["note"]


def test_until_it_is_known_answers_are_as_they_were() -> None:
    found = told(None)
    assert found["who"]["names"] == []
    assert [cell["pieces"] for cell in found["rows"][0]["cells"]] == [
        [("same", "merged")], [("same", "Ü it")], [("same", "plain")],
    ]  # fmt: skip


def test_where_nothing_is_defined_without_a_term_nobody_raised_it() -> None:
    alone = {**FOUND, "without": {"a": None}, "contribution": None}
    _, cell, _ = told([[alone], [], []])["rows"][0]["cells"]
    assert [piece[2]["who"] for piece in cell["pieces"]] == [None, None]
    assert cell["pieces"][0][2]["words"] == "probability 0.400"


def test_only_what_mixes_at_every_token_is_asked() -> None:
    assert [attributable(each) for each in TRAY] == [False, True, False]
    outputs = [{"token_ids": [1, 2]}]
    result = {"columns": [{"outputs": outputs}, {"outputs": outputs}, {"outputs": []}]}
    asked = payload_of(PAYLOAD, result, [True, False, True])
    assert asked == {
        "recipes": PAYLOAD["recipes"], "prompts": ["p"], "chat": True,
        "token_ids": [[[1, 2]], [], []],
    }  # fmt: skip
