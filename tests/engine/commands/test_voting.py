"""judge and votes: the cost is said before, what was interrupted goes on, and all is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.commands.report_others import OTHERS
from tests import headless
from tests.families import FamilyFiles, build_tied_family
from tests.studio.votes.test_judge import KEY, Endpoint, endpoint, fails, says

__all__ = ["endpoint"]
OBJECTIVES = [{"name": "exact", "data": "data/exact.jsonl", "scorer": "exact_match",
               "max_new_tokens": 4, "report_fraction": 0.0}]  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> FamilyFiles:
    return build_tied_family(tmp_path_factory.mktemp("judge"))


def test_a_judge_is_asked_once_its_cost_is_accepted_and_goes_on(
    files: FamilyFiles, tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARETOSCOPE_JUDGE_KEY", KEY)
    study = files.study("helpful", objectives=OBJECTIVES, name="judged")
    recipes = [
        files.recipe("single", {"model": "base"}), files.recipe("single", {"model": "helpful"})
    ]  # fmt: skip
    words = ("judge", study, "--recipe", *recipes, "--endpoint", endpoint.url, "--model", "m",
             "--limit", 3)  # fmt: skip
    refused = headless.run(tmp_path, *words)
    assert refused.code == 2 and "Add --yes" in refused.err and "calls, about" in refused.err
    assert not endpoint.asked
    endpoint.replies = [says("[[A]]"), fails(401, b"expired")]
    broken = headless.run(tmp_path, *words, "--yes")
    assert broken.code == 1 and "HTTP 401: expired" in broken.err and not broken.out
    endpoint.replies = [says("[[A]]")]
    ran = headless.run(tmp_path, *words, "--yes")
    assert ran.code == 0, ran.err
    document = ran.document
    total = document["votes"]
    assert document["cast"] == document["cost"]["calls"] == total - 1 > 0
    assert total == 2 * (3 - document["same"])
    [voter] = document["voters"]
    assert voter["position"]["left"] == voter["position"]["decided"] == total
    assert voter["pairs"][0]["rate"] == 0.5  # a judge that only looks at the side decides nothing
    text = OTHERS["judge"](document)
    assert f"{total - 1} new votes" in text and " wins 0.5 [0.1253, 0.8747] against " in text
    again = headless.run(tmp_path, *words, "--yes").document
    assert again["cast"] == 0 and again["votes"] == total  # nothing is asked twice
    told = headless.run(tmp_path, "votes", study).document
    assert told["voters"] == [{**voter, "proposal": None}] and len(told["points"]) == 2
    kept = b"".join(each.read_bytes() for each in tmp_path.rglob("*") if each.is_file())
    assert b"[[A]]" in kept and KEY.encode() not in kept
    assert KEY not in json.dumps(document) + ran.err


def test_a_judge_needs_two_recipes_and_prompts(
    files: FamilyFiles, tmp_path: Path, endpoint: Endpoint
) -> None:
    study = files.study("helpful", objectives=OBJECTIVES, name="judged")
    one = files.recipe("single", {"model": "base"})
    where = ("--endpoint", endpoint.url, "--model", "m")
    alone = headless.run(tmp_path, "judge", study, "--recipe", one, one, *where)
    assert alone.code == 2 and "nothing to compare" in alone.err
    other = files.recipe("single", {"model": "helpful"})
    unknown = headless.run(
        tmp_path, "judge", study, "--recipe", one, other, *where, "--objective", "none"
    )
    assert unknown.code == 2 and "no objective named 'none'" in unknown.err
    assert headless.run(tmp_path, "votes", study).document["votes"] == 0


def test_votes_are_an_objective_and_propose_the_next_pair(
    files: FamilyFiles, tmp_path: Path, endpoint: Endpoint
) -> None:
    liked = {"name": "liked", "scorer": "votes", "rival": "base", "voter": "judge"}
    objectives = [*OBJECTIVES, {"name": "pick", "data": "data/choice.jsonl", "scorer": "choice"},
                  {"name": "cost", "scorer": "cost"}, liked]  # fmt: skip
    study = files.study("helpful", objectives=objectives, name="liked")
    recipes = [
        files.recipe("single", {"model": "base"}), files.recipe("single", {"model": "helpful"}),
        files.recipe("logit_fusion", helpful=0.5, base=0.5),
    ]  # fmt: skip
    measured = headless.run(tmp_path, "evaluate", study, "--recipe", *recipes)
    assert measured.code == 0, measured.err  # what has no votes yet has not failed
    assert all(each["scores"]["liked"]["mean"] is None for each in measured.document["points"])
    ids = [each["id"] for each in measured.document["points"]]
    unasked = headless.run(tmp_path, "front", study).document
    assert unasked["failed"] == 0 and unasked["incomplete"] == len(ids) == unasked["points"]
    words = ("recommend", study, "--objectives", "exact", "--weight", "exact=1")
    assert headless.run(tmp_path, *words).document["point"]["error"] is None
    endpoint.replies = [says("[[tie]]"), says("[[B]]")]
    ran = headless.run(
        tmp_path, "judge", study, "--recipe", *recipes[:2], "--endpoint", endpoint.url,
        "--model", "m", "--objective", "exact", "--limit", 3, "--yes",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    [pair] = ran.document["voters"][0]["pairs"]
    rate = pair["rate"] if pair["one"] == ids[1] else 1 - pair["rate"]
    points = headless.run(tmp_path, "evaluate", study, "--point", *ids).document["points"]
    base, helpful, fused = (each["scores"]["liked"] for each in points)
    assert helpful["mean"] == pytest.approx(rate) and helpful["n"] == pair["questions"]
    assert helpful["stderr"] == pytest.approx(pair["stderr"]) and helpful["low"] < rate
    assert base["mean"] is None and fused["mean"] is None  # the rival, and who has no votes
    front = headless.run(tmp_path, "front", study, "--objectives", "liked,cost").document
    assert {*front["ranks"]} == {ids[1]}
    [voter] = headless.run(tmp_path, "votes", study).document["voters"]
    found = voter["proposal"]
    assert found is None or (found["best"] in ids and found["questions"] > 0)
