"""The answers along a slider: which sliders have a map, the request of it, what is drawn of it.
Pure; no widget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from engine.decoding.slider_line import line_of
from engine.errors import BadInput
from engine.method import Names
from engine.recipe import Recipe, find_method, recipe_from_dict, resolve
from engine.study import Objective, Study
from studio.compare.comparing import Settings, prompt_text
from studio.compare.questions import payload_of

Range = tuple[float, float]


def mapped_sliders(recipe: Recipe, study: Study, names: Names) -> dict[str, Range]:
    """The sliders of a recipe that have an exact map, each with its range."""
    method = find_method(recipe.method)
    found = {}
    for name in recipe.coefficients:
        low, high = study.slider_range(method, name)
        at = recipe.coefficients[name]
        low, high = min(low, at), max(high, at)
        try:
            line_of(recipe, name, names, low, high)
        except BadInput:
            continue
        found[name] = (low, high)
    return found


def unmapped(settings: Settings, objective: Objective, typed: bool) -> str:
    """Why these settings have no map; empty if they have one."""
    narrowed = settings.top_p < 1.0 or (not typed and objective.top_k > 0)
    if settings.temperature > 0.0 and narrowed:
        return "Under top p or top k there is no map: use temperature 0, or top p 1."
    return ""


def map_payload(
    recipe: Recipe,
    slider: str,
    ends: Range,
    prompts: Sequence[Any],
    settings: Settings,
    objective: Objective,
    *,
    typed: bool,
) -> dict[str, Any]:
    """The payload of a job "map"; prompts end where they do in a comparison."""
    found = payload_of([recipe], prompts, settings, objective, typed=typed)
    del found["recipes"]
    return {**found, "recipe": recipe.as_dict(), "slider": slider, "range": list(ends)}


def drawn(result: Mapping[str, Any], revision: str) -> dict[str, Any]:
    """What the component `ribbon` draws: {"slider", "low", "high", "at", "revision", "rows":
    [{"prompt", "ends", "texts"}]}; text n is that of the values from ends[n] to ends[n + 1].

    Neighbours that read the same (another token, the same text) are one.
    """
    slider, (low, high) = result["slider"], result["range"]
    rows = []
    for each in result["outputs"]:
        ends: list[float] = [low]
        texts: list[str] = []
        for part in each["intervals"]:
            if texts and texts[-1] == part["text"]:
                ends[-1] = part["to"]
                continue
            texts.append(part["text"])
            ends.append(part["to"])
        rows.append({"prompt": prompt_text(each["prompt"]), "ends": ends, "texts": texts})
    at = result["recipe"]["coefficients"][slider]
    return {
        "slider": slider, "low": low, "high": high, "at": min(max(at, low), high),
        "revision": revision, "rows": rows,
    }  # fmt: skip


def moved(payload: Mapping[str, Any], value: float, names: Names) -> Recipe:
    """The recipe of a map's payload with its slider at a value."""
    recipe = recipe_from_dict(payload["recipe"])
    coefficients = {**recipe.coefficients, payload["slider"]: value}
    return resolve(replace(recipe, coefficients=coefficients), names)
