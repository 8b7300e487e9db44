"""A round of votes on a comparison: kept at once, gone on with, told by command."""

from __future__ import annotations

from typing import Any

from cache.store import Store
from engine.recipe import Recipe, resolve
from studio.votes.ballots import given, votes_of
from studio.votes.report import report
from studio.votes.round import round_of, verdict
from studio.workbench import Workbench

PROMPTS = ["one?", [{"role": "user", "content": "two?"}], "same?"]


def comparison(bench: Workbench) -> tuple[dict[str, Any], dict[str, Any]]:
    """What was asked of two recipes, and what they answered."""
    recipes = [resolve(Recipe("task_arithmetic", {"helpful": c}), bench.names) for c in (0.1, 0.9)]
    given_ = [each.as_dict() for each in recipes]
    payload = {"recipes": given_, "prompts": PROMPTS, "temperature": 0.0, "seed": 0, "chat": False}
    columns = [
        {
            "recipe": each, "error": None,
            "outputs": [{"text": f"{place} {n}" if n < 2 else "same"} for n in range(3)],
        }
        for place, each in enumerate(given_)
    ]  # fmt: skip
    return payload, {"columns": columns}


def test_votes_are_kept_by_question_and_the_rest_is_asked_again(bench: Workbench) -> None:
    asked = comparison(bench)
    found = round_of(bench, *asked)
    assert (found.total, found.same, len(found.left)) == (4, 1, 4)
    drawn = found.drawn()
    points = list(found.recipes)
    assert {drawn["left"][0], drawn["right"][0]} == {"0", "1"} and "words" in drawn
    assert not found.vote(bench, "another/ballot/", "left") and len(found.left) == 4
    first = found.left[0]
    assert found.vote(bench, drawn["token"], "left") and found.left[0] != first
    assert not found.vote(bench, drawn["token"], "right")  # of the ballot before: a double press
    with Store.open(bench.workspace) as other:  # another process reads it from the disk
        [row] = other.records("vote")
        assert (row["left"], row["choice"], row["by"]) == (first.left, "left", "person")
    payload, result = asked  # the columns the other way, the prompts too: the same questions
    turned = {**payload, "prompts": PROMPTS[::-1]}
    columns = [{**each, "outputs": each["outputs"][::-1]} for each in result["columns"][::-1]]
    again = round_of(bench, turned, {"columns": columns})
    assert {*again.left} == {*found.left} and again.total == 4
    sampled = round_of(bench, {**payload, "temperature": 1.0}, result)
    assert len(sampled.left) == 4  # other settings give other answers: other questions
    while found.now is not None:
        assert found.vote(bench, found.drawn()["token"], "left")
    found.take_back(bench)
    assert len(found.left) == 1 and len(given(bench)) == 3
    assert found.vote(bench, found.drawn()["token"], "tie")
    document = report(given(bench))
    [voter] = document["voters"]
    assert (document["votes"], voter["position"]["left"], voter["position"]["decided"]) == (4, 3, 3)
    assert voter["pairs"][0]["questions"] == 2
    assert {each["id"] for each in document["points"]} == {*points}
    *pairs, place = verdict(given(bench), found, {point: point for point in points})
    assert len(pairs) == 1 and "4 votes on 2 questions" in pairs[0] and "left answer" in place
    assert votes_of(bench).all("another family") == ()
