"""Columns, the address, prompts, word differences and the grid, without a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from engine.jobs.executor import Status
from engine.recipe import Names, Recipe, resolve
from engine.scoring.data import Row
from studio.compare import comparing
from studio.compare.comparing import Asked, Settings, grid, pieces
from studio.points.view import Axis, measure
from ui import address

NAMES = Names(("helpful", "terse"))
BASE, HELPFUL = (comparing.model_recipe(name, NAMES) for name in ("base", "helpful"))
MIXED = resolve(Recipe("task_arithmetic", {"helpful": 0.5}), NAMES)
PCB = resolve(Recipe("pcb", {"helpful": 1.0}), NAMES)
ALONE = resolve(Recipe("task_arithmetic", {"terse": 1.0}), NAMES)
FACTS, LOSS = Axis("facts", maximize=True), Axis("loss", maximize=False)


@dataclass
class Stored:
    id: str
    recipe: dict[str, Any]
    scores: dict[str, Any]
    seconds: float | None = None
    error: str | None = None


def test_columns_have_letters_and_models_their_names() -> None:
    assert comparing.short(1, HELPFUL) == "helpful" and comparing.short(1, MIXED) == "B"
    assert comparing.title(2, MIXED) == "C · task_arithmetic(helpful 0.5)"
    assert comparing.short(1, MIXED, "mine") == "mine"
    assert comparing.title(2, MIXED, "mine") == "C · mine · task_arithmetic(helpful 0.5)"


def test_the_address_leads_there_and_back() -> None:
    stored = Stored("0123456789ab", MIXED.as_dict(), {"facts": {"mean": 0.5}})
    measured = measure([stored], ("facts",))
    tuned = resolve(Recipe("pcb", {"helpful": 1.0, "terse": 0.25}, {"ratio": 0.3}), NAMES)
    recipes = [HELPFUL, MIXED, PCB, tuned]
    ids = dict.fromkeys((PCB, tuned), "ffffffffffff") | {MIXED: "0123456789ab"}
    text = address.of_tray(recipes, measured, NAMES, ids.__getitem__)
    assert text.startswith("helpful,0123456789ab,pcb(helpful:1")
    assert text.endswith("),pcb(helpful:1;terse:0.25)(ratio:0.3)")
    assert address.to_tray(text, measured, NAMES) == (recipes, [])
    assert address.to_tray("lost,,base", measured, NAMES) == ([BASE], ["lost"])
    assert address.to_tray("", measured, NAMES) == ([], [])


@pytest.mark.parametrize(
    "part",
    ["pcb(", "pcb()", "pcb(nobody:1)", "pcb(helpful)", "pcb(helpful:x)", "pcb(helpful:1)(ratio:7)",
     "nothing(helpful:1)", "pcb(helpful:1)(ratio:0.2)(x:1)"],
)  # fmt: skip
def test_a_mixture_that_cannot_be_made_is_unknown(part: str) -> None:
    measured = measure([], ("facts",))
    assert address.to_tray(f"{part},base", measured, NAMES) == ([BASE], [part])


def test_models_come_before_points_of_the_front_and_none_twice() -> None:
    measured = measure(
        [
            Stored(str(n), each.as_dict(), {"facts": {"mean": facts}, "loss": {"mean": loss}})
            for n, (each, facts, loss) in enumerate(
                ((HELPFUL, 0.5, 0.5), (MIXED, 0.4, 0.9), (PCB, 0.6, 0.7), (ALONE, 0.2, 0.1))
            )
        ],
        ("facts", "loss"),
    )
    found = comparing.offered(measured, (FACTS, LOSS), NAMES)
    models = [comparing.model_recipe(name, NAMES) for name in NAMES.models]
    assert found == [*models, ALONE, PCB]


def test_of_a_long_front_a_few_are_offered_from_end_to_end() -> None:
    recipes = [
        resolve(Recipe("task_arithmetic", {"helpful": n / 100}), NAMES) for n in range(1, 101)
    ]
    measured = measure(
        [
            Stored(str(n), each.as_dict(), {"facts": {"mean": n}, "loss": {"mean": n}})
            for n, each in enumerate(recipes)
        ],
        ("facts", "loss"),
    )
    found = comparing.offered(measured, (FACTS, LOSS), NAMES)[len(NAMES.models) :]
    assert len(found) == comparing.OFFERED == len(set(found))
    assert (found[0], found[-1]) == (recipes[0], recipes[-1])


def test_prompts_are_texts_or_conversations() -> None:
    messages = ({"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"})
    assert comparing.prompt_of(Row(0, 1, "k", prompt="why")) == "why"
    talk = comparing.prompt_of(Row(0, 1, "k", messages=messages))
    assert talk == list(messages)
    assert comparing.prompt_text(talk) == "system: be kind\nuser: hi"
    assert comparing.typed_prompts("one\n \n\n two \n", False) == ["one", "two"]
    assert comparing.typed_prompts("one\n  more\r\n\r\ntwo", False) == ["one\n  more", "two"]
    assert comparing.typed_prompts("one\n two \n", True) == ["one\n two \n"]
    assert comparing.typed_prompts(" \n", True) == []


@pytest.mark.parametrize(
    ("reference", "text", "marks"),
    [
        ("a b c", "a b c", []),
        ("a b c", "a x c", [("gone", "b"), ("new", "x")]),
        ("a c", "a b c", [("new", "b")]),
        ("a b c", "a c", [("gone", "b")]),
        ("a b", "a\n b  ", []),
        ("one two.", "one two", [("gone", "two."), ("new", "two")]),
        ("", "all new", [("new", "all new")]),
        ("all gone", "", [("gone", "all gone")]),
        ("", "", []),
        ("<b>x</b>", "<i>x</i>", [("gone", "<b>x</b>"), ("new", "<i>x</i>")]),
    ],
)
def test_differences_are_words(reference: str, text: str, marks: Any) -> None:
    assert [each for each in pieces(reference, text) if each[0] != "same"] == marks


@pytest.mark.parametrize("text", ["  lead", "a  b\n\nc ", "\n", "one", "x y z w", "é ü\u2003ß"])
def test_what_is_not_gone_is_the_text(text: str) -> None:
    """Save the white space that keeps a word that is gone apart."""
    for reference in ("", "a b", "y z one"):
        found = "".join(each for kind, each in pieces(reference, text) if kind != "gone")
        assert found.split() == text.split()
    assert "".join(each for _, each in pieces(text, text)) == text


def test_marks_do_not_cover_the_space_behind_a_word() -> None:
    assert pieces("a b", "a x b") == [
        ("same", "a "), ("new", "x"), ("same", " "), ("same", "b"),
    ]  # fmt: skip


def payload(**settings: Any) -> dict[str, Any]:
    recipes = [BASE.as_dict(), HELPFUL.as_dict()]
    return {"recipes": recipes, "prompts": ["p", "q"], "study": "s", **settings}


def result(*columns: Any) -> dict[str, Any]:
    return {"columns": list(columns)}


def outputs(*texts: str, ended: str = "end") -> dict[str, Any]:
    made = [{"text": each, "token_ids": each.split(), "ended": ended} for each in texts]
    return {"outputs": made, "error": None}


def test_a_grid_has_the_tray_s_columns_whatever_was_asked() -> None:
    status = Status("done", texts={0: "a", 1: "b", 2: "c", 3: "d"})
    done = result(outputs("a", "b"), outputs("c", "d"))
    found = grid([MIXED, HELPFUL], Asked.of(payload()), status, done)
    assert found["heads"] == [["A", "not asked yet: press Answer"], ["B", "done"]]
    assert [row["prompt"] for row in found["rows"]] == ["p", "q"]
    assert found["rows"][1]["cells"] == [
        {"pieces": [], "note": ""},
        {"pieces": [("same", "d")], "note": "1 token"},
    ]
    assert not found["writing"]
    named = grid([MIXED, HELPFUL], Asked.of(payload()), status, done, names=["mine", ""])
    assert [head for head, _ in named["heads"]] == ["A · mine", "B"]


def test_differences_wait_until_all_is_written() -> None:
    texts = {0: "a b", 2: "a c"}
    running = grid(
        [BASE, HELPFUL], Asked.of(payload()), Status("running", texts=texts), None, against=BASE
    )
    assert running["writing"]
    assert running["rows"][0]["cells"][1]["pieces"] == [("same", "a c")]
    over = grid(
        [BASE, HELPFUL], Asked.of(payload()), Status("failed", texts=texts), None, against=BASE
    )
    assert ("new", "c") in over["rows"][0]["cells"][1]["pieces"]
    assert over["rows"][0]["cells"][0]["pieces"] == [("same", "a b")]


def test_columns_say_how_far_they_are() -> None:
    progress = {"columns": ["done", "writing", "failed"], "errors": {"2": "too big"}}
    running = Status("running", progress)
    assert comparing.column_states(running, None, 3) == ["done", "writing", "failed: too big"]
    stopped = Status("failed", progress, failure="cancelled")
    assert comparing.column_states(stopped, None, 3) == ["done", "stopped", "failed: too big"]
    assert comparing.column_states(Status(), None, 2) == ["waiting", "waiting"]
    done = result(outputs("x"), {"outputs": [], "error": "lost"})
    assert comparing.column_states(Status("done"), done, 2) == ["done", "failed: lost"]


def test_an_answer_that_was_cut_or_is_empty_is_told() -> None:
    asked = Asked.of(payload(max_new_tokens=2))
    done = result(outputs("a b", "c d", ended="length"), outputs("", "z"))
    status = Status("done", texts={0: "a b", 1: "c d", 2: "", 3: "z"})
    found = grid([BASE, HELPFUL], asked, status, done)
    notes = [[cell["note"] for cell in row["cells"]] for row in found["rows"]]
    assert notes == [["cut after 2 tokens", "empty: 0 tokens"], ["cut after 2 tokens", "1 token"]]


def test_room_is_kept_for_what_may_come() -> None:
    assert comparing.lines(Settings(max_new_tokens=1), 1) == 2
    assert comparing.lines(Settings(max_new_tokens=20), 4) == 3
    assert comparing.lines(Settings(max_new_tokens=4096), 2) == comparing.LINES


def test_a_note_says_the_strengths_that_were_chosen() -> None:
    done = result(outputs("a b", "c"), outputs("x", "y"))
    done["columns"][0]["outputs"][0]["strengths"] = {"kind": [0.5, 1.0], "calm": [0.0, 0.2]}
    done["columns"][0]["outputs"][1]["strengths"] = {"kind": [], "calm": []}
    said = comparing.notes(done, Settings())
    assert said[0, 0] == "2 tokens · mean strength: kind 0.75 (0.5 to 1), calm 0.10 (0 to 0.2)"
    assert said[0, 1] == said[1, 0] == "1 token"
