"""History of the recipes on the sliders: undo, redo, and reset to the start values.

sliders ──► `Steps.note` ──► a step ──► Undo, Redo: an earlier hand is loaded, sliders made again
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from engine.prune import Prune
from engine.recipe import Names, find_method
from engine.study import Study
from ui import pruning
from ui.recipe import applied, default_parameters, hand, hear
from ui.recipe import coefficients as in_hand_coefficients
from ui.sliders import start_value

MOST = 200
"""Steps that are kept; the oldest go first."""


@dataclass(frozen=True)
class Step:
    """A method with its coefficients and parameters, as (name, value) pairs, and its pruning."""

    method: str
    coefficients: tuple[tuple[str, float], ...]
    parameters: tuple[tuple[str, Any], ...]
    prune: Prune | None = None


@dataclass
class Steps:
    """The recipes that were in hand in one browser session, oldest first.

    Attributes:
        done: all of them; those behind `at` were undone.
        at: the place of the one in hand; -1 before the first.
    """

    done: list[Step] = field(default_factory=list)
    at: int = -1

    def note(self, step: Step) -> None:
        """A recipe is in hand: where it is another than before, what was undone is gone."""
        if self.at >= 0 and self.done[self.at] == step:
            return
        self.done = [*self.done[: self.at + 1], step][-MOST:]
        self.at = len(self.done) - 1

    @property
    def before(self) -> Step | None:
        return self.done[self.at - 1] if self.at > 0 else None

    @property
    def after(self) -> Step | None:
        return self.done[self.at + 1] if self.at + 1 < len(self.done) else None


def steps() -> Steps:
    """Those of this browser session."""
    found: Steps = st.session_state.setdefault("steps_of_hand", Steps())
    return found


def _in_hand(names: Names) -> Step:
    method = find_method(hand().method)
    coefficients = in_hand_coefficients(method, names)
    parameters = applied(method, names)
    return Step(
        method.name,
        tuple(coefficients.items()),
        tuple(parameters.items()),
        hand().prunes.get(method.name),
    )


def _take(step: Step) -> None:
    held = hand()
    held.method = step.method
    held.coefficients[step.method] = dict(step.coefficients)
    held.parameters[step.method] = dict(step.parameters)
    held.prunes[step.method] = step.prune
    held.generation += 1


def _go(places: int, study: Study, names: Names, on_change: Callable[[], Any]) -> None:
    known = steps()
    hear(study, names)
    pruning.hear(names)
    known.note(_in_hand(names))
    if 0 <= known.at + places < len(known.done):
        known.at += places
        _take(known.done[known.at])
        on_change()


def start(study: Study, names: Names) -> Step:
    """The current method with sliders and parameters as they are at first."""
    method = find_method(hand().method)
    sliders = method.coefficient_names(names)
    return Step(
        method.name,
        tuple((name, start_value(*study.slider_range(method, name))) for name in sliders),
        tuple(default_parameters(method, names).items()),
    )


def _reset(study: Study, names: Names, on_change: Callable[[], Any]) -> None:
    hear(study, names)
    pruning.hear(names)
    steps().note(_in_hand(names))
    _take(start(study, names))
    on_change()


def buttons(study: Study, names: Names, on_change: Callable[[], Any]) -> None:
    """Undo, Redo and Reset for the sliders below; each is off where it would do nothing.

    Args:
        on_change: called once the other recipe is in hand, before anything is drawn again.
    """
    now, first = _in_hand(names), start(study, names)
    known = steps()
    known.note(now)
    with st.container(horizontal=True, gap=None, width="content", key="undo"):
        for label, icon, there, call, args in (
            ("Undo", "undo", known.before is not None, _go, (-1, study, names, on_change)),
            ("Redo", "redo", known.after is not None, _go, (1, study, names, on_change)),
            ("Reset", "restart_alt", now != first, _reset, (study, names, on_change)),
        ):
            st.button(
                label, key=f"hand_{label.lower()}", icon=f":material/{icon}:", type="tertiary",
                disabled=not there, on_click=call, args=args,
                help="Reset the sliders and parameters of this method to their defaults"
                if label == "Reset" else None,
            )  # fmt: skip
