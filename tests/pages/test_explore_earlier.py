"""Explore says which scores are as of an earlier definition, and measures those points anew."""

from __future__ import annotations

from engine.recipe import Recipe, resolve
from studio.workbench import Workbench
from tests.app_fixtures import page, texts, until, whole


def test_scores_as_of_an_earlier_definition_are_told_and_measured_anew(bench: Workbench) -> None:
    assert "earlier definition" not in texts(page("explore").run())
    assert bench.known is not None
    [row, *_] = bench.store.scores(bench.known.family)
    recipe = resolve(Recipe("task_arithmetic", {"helpful": 0.35}, {}), bench.names)
    old = {
        "id": "0" * 64,
        "point": bench.point_id(recipe),
        "recipe": recipe.as_dict(),
        "objective_fingerprint": "1" * 64,
    }
    bench.store.append([{**row, **old}])
    bench.advance()
    before = len(bench.measured())
    at = page("explore").run()
    assert not at.exception
    said = (
        f"Scores from an earlier definition, left out of charts and fronts: {row['objective']} of 1"
    )
    assert said in texts(at) and len(bench.measured()) == before
    at.button(key="measure_anew").click().run()
    until(lambda: bench.advance() or whole(bench, before + 1))
    at = page("explore").run()
    assert not at.exception
    assert "earlier definition" not in texts(at)
