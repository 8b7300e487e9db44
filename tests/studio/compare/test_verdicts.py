"""Targets and the scorer's words beside answers."""

from __future__ import annotations

from dataclasses import replace

from engine.jobs.executor import Status
from engine.scoring.data import Row
from studio.compare.comparing import Asked, Settings, grid
from studio.compare.verdicts import long, with_verdicts
from tests.studio.compare.test_comparing import BASE, HELPFUL, MIXED
from tests.studio.compare.test_slices import examples

ROWS = (
    Row(0, 1, "k", prompt="p", targets=("yes",)),
    Row(1, 2, "k", messages=({"role": "user", "content": "hi"},), targets=("no",)),
)
FOUND = replace(
    examples([1, 0], [0, 1], [0, 0], measured=[True, True, False]),
    rows=ROWS,
    texts=(("yes", "what"), None, None),
)
TALK = [{"role": "user", "content": "hi"}]
ASKED = Asked((BASE.as_dict(), HELPFUL.as_dict(), MIXED.as_dict()), ("p", TALK, "q"), Settings())
TEXTS = dict(enumerate(["yes", "no", "-", "no", "no", "-", "a", "b", "-"]))
TRAY = [BASE, HELPFUL, MIXED]


def drawn(state: str) -> list[tuple[str, list[str]]]:
    status = Status(state, texts=TEXTS)  # type: ignore[arg-type]
    found = with_verdicts(grid(TRAY, ASKED, status, None), TRAY, ASKED, status, FOUND)
    return [(row["target"], [cell["verdict"] for cell in row["cells"]]) for row in found["rows"]]


def test_targets_stand_by_their_prompts_and_verdicts_by_their_answers() -> None:
    assert drawn("failed") == [
        ("yes", ["right", "scored wrong", ""]),  # the second's answer was not kept
        ("no", ["scored wrong", "scored right", ""]),  # the first answered otherwise then
        ("", ["", "", ""]),  # typed: no example of the objective
    ]


def test_verdicts_wait_until_all_is_written() -> None:
    assert drawn("running")[0] == ("yes", ["", "", ""])


def test_without_examples_there_is_nothing_to_say() -> None:
    status = Status("failed", texts=TEXTS)
    found = with_verdicts(grid(TRAY, ASKED, status, None), TRAY, ASKED, status, None)
    assert {row["target"] for row in found["rows"]} == {""}


def test_a_long_prompt_is_folded() -> None:
    assert not long("one\ntwo\nthree") and long("line\n" * 9) and long("x" * 601)
