"""Explore says which scores are as of an earlier definition, and measures those points anew."""

from __future__ import annotations

from engine.recipe import Recipe, resolve
from pages.parts.backend import Backend
from tests.pages.conftest import page, texts, until


def test_scores_as_of_an_earlier_definition_are_told_and_measured_anew(backend: Backend) -> None:
    assert "earlier definition" not in texts(page("explore").run())
    assert backend.known is not None
    [row, *_] = backend.store.scores(backend.known.family)
    recipe = resolve(Recipe("task_arithmetic", {"helpful": 0.35}, {}), backend.names)
    old = {
        "id": "0" * 64,
        "point": backend.point_id(recipe),
        "recipe": recipe.as_dict(),
        "objective_fingerprint": "1" * 64,
    }
    backend.store.append([{**row, **old}])
    backend.advance()
    before = len(backend.measured())
    at = page("explore").run()
    assert not at.exception
    said = f"Scores as of an earlier definition, not shown and on no front: {row['objective']} of 1"
    assert said in texts(at) and len(backend.measured()) == before
    at.button(key="measure_anew").click().run()
    until(lambda: backend.advance() or len(backend.measured()) == before + 1)
    at = page("explore").run()
    assert not at.exception
    assert "earlier definition" not in texts(at)
