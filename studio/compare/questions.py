"""The request of a job "compare": recipes, prompts, decoding settings. Pure; no widget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.counted import counted
from engine.family.text import thawed
from engine.recipe import Recipe
from engine.study import Objective
from studio.compare.comparing import PROMPTS, Settings


def refusal_of(prompts: Sequence[Any]) -> str:
    """Why these prompts cannot be asked; empty if they can."""
    if not prompts:
        return "There is no prompt: enter one."
    if len(prompts) > PROMPTS:
        return f"{counted(len(prompts), 'prompt')}: {PROMPTS} can be answered at once."
    return ""


def payload_of(
    recipes: Sequence[Recipe],
    prompts: Sequence[Any],
    settings: Settings,
    objective: Objective,
    *,
    typed: bool,
) -> dict[str, Any]:
    """The payload; rows of an objective end where its own stops are, typed prompts do not."""
    found: dict[str, Any] = {
        "recipes": [each.as_dict() for each in recipes],
        "prompts": list(prompts),
        **settings.payload(),
        "template_kwargs": thawed(objective.template_kwargs),
    }
    if not typed:
        found |= {"stop": list(objective.stop), "top_k": objective.top_k}
    return found


def with_next_seed(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The same once more with the next seed."""
    return {**payload, "seed": payload["seed"] + 1}
