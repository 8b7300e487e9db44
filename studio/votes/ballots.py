"""Votes: which of two answers to a question is better, kept by what was asked.

A question is a prompt with the settings that answers to it were decoded under; a ballot is a
question put to a voter in one order of two points. Each vote is a row of the journal under the
family, keyed by its ballot and its voter, so that it outlives the session, the study file and the
order of its rows; voting again replaces it.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from cache.store import Store
from engine.recipe import FrozenDict, Recipe, recipe_from_dict
from studio.shared import once
from studio.workbench import Workbench

KIND = "vote"
PERSON = "person"
"""Who votes on Compare; a judge is named by its model and endpoint."""

Choice = Literal["left", "right", "tie", "bad"]
CHOICES: tuple[Choice, ...] = get_args(Choice)
"""Left is better, right is better, neither is, both are bad."""


def question_of(prompt: Any, settings: Mapping[str, Any]) -> str:
    """The id of a question: 16 hex digits over the prompt and the decoding settings."""
    text = json.dumps([prompt, dict(settings)], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True)
class Ballot:
    """A question in one order.

    Attributes:
        question: its id.
        left, right: ids of two points.
    """

    question: str
    left: str
    right: str

    @property
    def pair(self) -> tuple[str, str]:
        """The two points, whatever the order."""
        first, second = sorted((self.left, self.right))
        return first, second

    @property
    def turned(self) -> Ballot:
        """The same in the other order."""
        return Ballot(self.question, self.right, self.left)


@dataclass(frozen=True)
class Vote:
    """What a voter said of a ballot.

    Attributes:
        by: `PERSON`, or which judge.
        at: unix seconds.
        recipes: of the two points, by id.
        told: what a judge said beside its choice.
    """

    ballot: Ballot
    choice: Choice
    by: str = PERSON
    at: float | None = None
    prompt: str = ""
    recipes: Mapping[str, Recipe] = field(default_factory=FrozenDict)
    told: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "recipes", FrozenDict(self.recipes))

    @property
    def score(self) -> float:
        """Of the left answer: 1 where it wins, 0 where it loses, ½ for a tie and for both bad."""
        return {"left": 1.0, "right": 0.0}.get(self.choice, 0.5)


class Votes:
    """The votes on mixtures of one family. Thread safe; those of other processes are read too."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._found: tuple[tuple[int, str], tuple[Vote, ...]] = ((-1, ""), ())

    def all(self, family: str) -> tuple[Vote, ...]:
        """Every vote, the newest of each ballot and voter, oldest first; the same object until rows
        came.

        Args:
            family: its fingerprint.
        """
        key = (self._store.version, family)
        with self._lock:
            if self._found[0] != key:
                rows = self._store.records(KIND, family)
                found = tuple(each for row in rows if (each := _vote(row)) is not None)
                self._found = key, found if found != self._found[1] else self._found[1]
            return self._found[1]

    def cast(self, family: str, votes: Sequence[Vote]) -> None:
        """Keep votes; once this returns they survive anything."""
        self._store.append([_row(family, each) for each in votes])

    def withdraw(self, family: str, vote: Vote) -> None:
        """Take a vote back."""
        self._store.append([{**_row(family, vote), "choice": None}])


def _row(family: str, vote: Vote) -> dict[str, Any]:
    ballot = vote.ballot
    key = "\n".join((KIND, family, ballot.question, ballot.left, ballot.right, vote.by))
    return {
        "kind": KIND, "id": hashlib.sha256(key.encode()).hexdigest(), "family": family,
        "question": ballot.question, "left": ballot.left, "right": ballot.right,
        "choice": vote.choice, "by": vote.by, "prompt": vote.prompt, "told": vote.told,
        "sides": {point: each.as_dict() for point, each in vote.recipes.items()},
    }  # fmt: skip


def _vote(row: Mapping[str, Any]) -> Vote | None:
    """A row's vote; None where it was taken back, or a newer version wrote what is not known."""
    choice, texts = row.get("choice"), [row.get(name) for name in ("question", "left", "right")]
    if choice not in CHOICES or not all(isinstance(each, str) for each in texts):
        return None
    question, left, right = map(str, texts)
    sides = row.get("sides")
    recipes = {
        str(point): recipe_from_dict(each)
        for point, each in (sides.items() if isinstance(sides, Mapping) else ())
    }
    return Vote(
        Ballot(question, left, right), cast(Choice, choice), str(row.get("by") or PERSON),
        row.get("at"), str(row.get("prompt") or ""), recipes, str(row.get("told") or ""),
    )  # fmt: skip


def votes_of(bench: Workbench) -> Votes:
    """Those of the workspace that is open."""
    found: Votes = once(bench, KIND, lambda: Votes(bench.store))
    return found


def given(bench: Workbench) -> tuple[Vote, ...]:
    """The votes on this study's family; none until its points can be known."""
    return () if bench.known is None else votes_of(bench).all(bench.known.family)
