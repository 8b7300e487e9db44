"""Commands say which scores are as of an earlier definition, and never mix them in."""

from __future__ import annotations

from pathlib import Path

from tests import headless
from tests.families import build_tied_family


def test_front_and_evaluate_say_what_is_left_out(tmp_path: Path) -> None:
    files = build_tied_family(tmp_path / "family")

    def study(limit: int) -> Path:
        row = {"name": "pick", "data": "data/choice.jsonl", "scorer": "choice", "limit": limit}
        return files.study("helpful", objectives=[row], name="earlier")

    recipes = [files.recipe("single", {"model": each}) for each in ("base", "helpful")]
    first = headless.run(tmp_path, "evaluate", study(3), "--recipe", *recipes)
    assert first.code == 0 and "earlier definition" not in first.err
    ran = headless.run(tmp_path, "front", study(4))
    assert ran.code == 0 and ran.document["front"] == []
    assert "pick: scores from an earlier definition, left out: 2;" in ran.err
    again = headless.run(tmp_path, "evaluate", study(4), "--recipe", recipes[0])
    assert again.document["points"][0]["scores"]["pick"]["n"] == 4
    assert "earlier definition, left out: 1;" in again.err
    ran = headless.run(tmp_path, "front", study(4))
    assert len(ran.document["front"]) == 1 and "earlier definition, left out: 1;" in ran.err
