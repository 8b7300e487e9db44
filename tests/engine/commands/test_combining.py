"""A combination from the command line: made of scores that are there, shown as any objective."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cache.store import Store
from tests import headless
from tests.families import FamilyFiles, build_tied_family

LENGTH = {"data": "data/exact.jsonl", "scorer": "length", "max_new_tokens": 4,
          "report_fraction": 0.0}  # fmt: skip
MEMBERS = [{"name": "tokens", **LENGTH}, {"name": "few", **LENGTH, "max_new_tokens": 2},
           {"name": "part", **LENGTH, "data": "data/others.jsonl"}]  # fmt: skip
COMBINED = [{"name": "longest", "combine": "worst", "of": ["tokens", "few"]},
            {"name": "apart", "combine": "mean", "of": ["tokens", "part"]}]  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> FamilyFiles:
    found = build_tied_family(tmp_path_factory.mktemp("combined"))
    rows = [json.dumps({"prompt": f"{word} of the sea"}) for word in ("ships", "birds", "men")]
    (found.root / "data/others.jsonl").write_text("\n".join(rows))
    return found


def test_a_combination_comes_of_scores_that_are_there(files: FamilyFiles, tmp_path: Path) -> None:
    recipes = [
        files.recipe("single", {"model": "base"}), files.recipe("single", {"model": "helpful"}),
    ]  # fmt: skip
    alone = files.study("helpful", objectives=MEMBERS, name="alone")
    assert headless.run(tmp_path, "evaluate", alone, "--recipe", *recipes).code == 0
    study = files.study("helpful", objectives=[*COMBINED, *MEMBERS], name="combined")
    front = headless.run(tmp_path, "front", study)  # nothing is measured
    assert front.code == 0, front.err
    assert front.document["points"] == 2 and front.document["incomplete"] == 0
    before = sum(each.stat().st_size for each in tmp_path.rglob("*.jsonl"))
    ran = headless.run(tmp_path, "evaluate", study, "--recipe", *recipes)
    assert ran.code == 0, ran.err
    assert sum(each.stat().st_size for each in tmp_path.rglob("*.jsonl")) == before
    with Store.open(tmp_path) as store:
        [family] = {row["family"] for row in store.records("score")}
        rows = {(row["point"], row["objective"]): row for row in store.scores(family)}
    for point in ran.document["points"]:
        values = {name: np.array(rows[point["id"], name]["values"]) for name in point["scores"]}
        longest = np.maximum(values["tokens"], values["few"])
        got = point["scores"]["longest"]
        assert values["longest"].tolist() == longest.tolist()
        assert got["mean"] == pytest.approx(longest.mean()) and got["n"] == len(longest)
        assert got["stderr"] == pytest.approx(longest.std(ddof=1) / len(longest) ** 0.5)
        scores = point["scores"]
        mean = (scores["tokens"]["mean"] + scores["part"]["mean"]) / 2
        error = np.hypot(scores["tokens"]["stderr"], scores["part"]["stderr"]) / 2
        assert scores["apart"]["mean"] == pytest.approx(mean)
        assert scores["apart"]["stderr"] == pytest.approx(error)


def test_to_evaluate_a_combination_is_to_evaluate_its_members(
    files: FamilyFiles, tmp_path: Path
) -> None:
    study = files.study("helpful", objectives=[*COMBINED, *MEMBERS], name="combined")
    recipe = files.recipe("logit_fusion", helpful=0.5, base=0.5)
    ran = headless.run(tmp_path, "evaluate", study, "--recipe", recipe, "--objectives", "longest")
    assert ran.code == 0, ran.err
    [point] = ran.document["points"]
    assert [*point["scores"]] == ["longest"] and point["error"] is None
    swept = headless.run(
        tmp_path, "sweep", study, "--method", "logit_fusion", "--points", 3,
        "--objectives", "longest",
    )  # fmt: skip
    assert swept.code == 0, swept.err
    best = headless.run(tmp_path, "recommend", study, "--objectives", "longest", "--weight",
                        "longest=1")  # fmt: skip
    assert best.code == 0 and best.document["point"]["scores"]["longest"]["n"] > 1, best.err


def test_members_that_ask_the_same_in_other_files_are_refused(
    files: FamilyFiles, tmp_path: Path
) -> None:
    (files.root / "data/again.jsonl").write_bytes((files.root / "data/exact.jsonl").read_bytes())
    other = {"name": "again", **LENGTH, "data": "data/again.jsonl"}
    mean = {"name": "mean", "combine": "mean", "of": ["tokens", "again"]}
    study = files.study("helpful", objectives=[*MEMBERS, other, mean], name="again")
    ran = headless.run(tmp_path, "check", study)
    assert ran.code == 2 and "of the same questions in different data" in ran.err
