"""Which choice an answer means. One convention holds in a file; where the data leave two that
differ, the file is refused with the question, never guessed.

    2                       an index, from 0
    "B", "(b)"              a letter
    "Paris"                 the text of a choice
    "2" beside labels       the choice of that label
    "2" without             an index or counted from 1: told apart by a "0", or by as many as there
                            are choices; else it is asked
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.scoring.data_table import Unread, short

WORDS = {
    "index": "an index, from 0",
    "1-based": "a number, from 1",
    "letter": "a letter, with A for the first",
    "text": "the text of a choice",
    "label": "a choice's label",
}

NUMBERS = {"index", "1-based"}


@dataclass(frozen=True)
class Asked:
    """One row's answer before it is known what it means.

    Attributes:
        labels: of the choices, where the data have some.
        untyped: a number may be written as a text (CSV).
        open: a number may count from 1 as well as from 0.
    """

    answer: Any
    choices: tuple[str, ...]
    labels: tuple[str, ...] = ()
    untyped: bool = False
    open: bool = False

    @property
    def told(self) -> bool:
        """Whether the rest of the file helps to tell what the answer means."""
        return not self.labels and (self.open or isinstance(self.answer, str))


def _texted(value: Any) -> str | None:
    """An answer as a text; None for what is no text and no whole number."""
    if isinstance(value, str):
        return value.strip()
    return None if isinstance(value, bool) or not isinstance(value, int) else str(value)


def _readings(asked: Asked, only: str | None) -> dict[str, int]:
    """Convention -> index of the choice that the answer means by it."""
    text, size = _texted(asked.answer), len(asked.choices)
    if text is None:
        return {}
    found: dict[str, int] = {}
    labels = [each.strip() for each in asked.labels]
    typed = isinstance(asked.answer, str)
    digits = text.isascii() and text.isdigit() and len(text) < 10 and not (labels and only is None)
    if labels.count(text) == 1 and only in (None, "label"):
        found["label"] = labels.index(text)
    if only == "label" or (labels and not typed and only is None):
        return found
    if digits and int(text) < size:
        found["index"] = int(text)
    loose = only == "1-based" or asked.open or (typed and not asked.untyped)
    if digits and loose and 1 <= int(text) <= size:
        found["1-based"] = int(text) - 1
    if typed:
        letter = text.strip("().: ")
        lettered = len(letter) == 1 and letter.isascii() and letter.isalpha()
        if lettered and not (labels and only is None):
            place = ord(letter.upper()) - ord("A")
            if place < size:
                found["letter"] = place
        if asked.answer in asked.choices:
            found["text"] = asked.choices.index(asked.answer)
        else:
            same = [place for place, each in enumerate(asked.choices) if each.strip() == text]
            if len(same) == 1:
                found["text"] = same[0]
    if only is None:
        return found
    return {only: found[only]} if only in found else {}


def _refused(asked: Asked, only: str | None) -> Unread:
    """Why an answer has no reading."""
    answer, choices = asked.answer, list(asked.choices)
    if isinstance(answer, int) and not isinstance(answer, bool) and only in (None, "index"):
        if asked.labels and only is None:
            what = f"answer {answer} is not among the labels {short(list(asked.labels))}"
            return Unread(what, "State how answers count: answer_is: index or answer_is: 1-based.")
        fix = "An index counts from 0; if the data counts from 1, set answer_is: 1-based."
        return Unread(f"answer {answer} is out of range: there are {len(choices)} choices", fix)
    if asked.labels and only in (None, "label"):
        return Unread(f"answer {short(answer)} is not among the labels {short(list(asked.labels))}")
    fix = "Give the index of a choice, from 0, or its text."
    if only is not None:
        fix = f"answer_is: {only} says that it is {WORDS[only]}."
    return Unread(f"answer {short(answer)} is not among the choices {short(choices)}", fix)


def _question(asked: Asked, found: Mapping[str, int]) -> Unread:
    """The question that an answer of several readings leaves."""
    said = " or ".join(
        f"{WORDS[kind]} ({short(asked.choices[place])})" for kind, place in found.items()
    )
    lines = " or ".join(f"answer_is: {kind}" for kind in found)
    return Unread(f"answer {short(asked.answer)} could be {said}", f"State which: {lines}.")


def resolve_answers(asked: Sequence[Asked], only: str | None) -> list[int | Unread]:
    """The index of each row's right choice, or what is wrong with its answer.

    Args:
        only: the convention that the objective names, if it names one.
    """
    found = [_readings(each, only) for each in asked]
    kinds: set[str] | None = None
    if only is None:
        for each, readings in zip(asked, found, strict=True):
            if readings and each.told:
                kinds = set(readings) if kinds is None else kinds & set(readings)
        if kinds:  # one convention (or several that agree so far) serves every text in the file
            found = [
                {kind: place for kind, place in readings.items() if kind in kinds}
                if each.told
                else readings
                for each, readings in zip(asked, found, strict=True)
            ]
    apart = only is None and kinds == set()
    result: list[int | Unread] = []
    told = False
    for each, readings in zip(asked, found, strict=True):
        places = set(readings.values())
        if len(places) == 1 and not (apart and each.told and readings.keys() <= NUMBERS):
            result.append(places.pop())
        elif not places:
            result.append(_refused(each, only))
        elif told:
            result.append(next(iter(places)))  # asked once; the file is refused all the same
        else:
            told = True
            result.append(_mixed(each, readings) if len(places) == 1 else _question(each, readings))
    return result


def _mixed(asked: Asked, found: Mapping[str, int]) -> Unread:
    """The question of a number beside answers that are given otherwise."""
    [kind] = found
    said = f"answer {short(asked.answer)} can only be {WORDS[kind]}"
    what = f"{said}, but other rows use another form"
    lines = " or ".join(f"answer_is: {each}" for each in ("index", "1-based"))
    return Unread(what, f"Use the same form in all rows and state which: {lines}.")
