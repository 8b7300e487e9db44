"""The readable text of what others say: external points, votes, judges."""

from __future__ import annotations

from collections.abc import Callable

from engine.commands.report import Document, external_point, number, recipe_text, score
from engine.counted import counted


def external(document: Document) -> str:
    """What was imported or removed, and all that is there."""
    lines = [f"imported {each['name']}" for each in document["imported"]]
    lines += [f"removed {each}" for each in document["removed"]]
    lines += [external_point(each) for each in document["external"]]
    return "\n".join(lines or ["No external points."])


def votes(document: Document) -> str:
    """Voter by voter: a line a pair, the position bias, the strengths."""
    names = {each["id"]: recipe_text(each["recipe"]) for each in document["points"]}
    lines = [] if document["votes"] else ["No votes."]
    for voter in document["voters"]:
        lines.append(f"{voter['by']}: {counted(voter['votes'], 'vote')}")
        for pair in voter["pairs"]:
            rate = {**pair, "mean": pair["rate"]}
            one, other = (names.get(pair[each], pair[each]) for each in ("one", "other"))
            lines.append(f"  {one} wins {score(rate)} against {other}")
            lines.append(
                f"    {counted(pair['questions'], 'question')}: {pair['wins']} won, "
                f"{pair['losses']} lost, {counted(pair['ties'], 'tie')}, {pair['bad']} both bad"
            )
        place = voter["position"]
        if place["decided"]:
            share = {**place, "mean": place["share"]}
            lines.append(f"  left chosen {score(share)} of {place['decided']} that chose a side")
        if found := voter.get("proposal"):
            lines.append(
                f"  served best by {found['best']}, expected regret "
                f"{number(found['expected_regret'])} of a range"
            )
            lines.append(f"  compare next: {' and '.join(found['next_pair'] or ['nothing'])}")
        for strength in voter["strengths"]:
            value, error = number(strength["strength"]), number(strength["stderr"], 2)
            lines.append(f"  strength {value} ± {error}  {names[strength['point']]}")
    return "\n".join(lines)


def judge(document: Document) -> str:
    """What a judge said, and what is left."""
    left = f", {document['failed']} without a verdict: ask again" if document["failed"] else ""
    return f"{counted(document['cast'], 'new vote')}{left}\n{votes(document)}"


OTHERS: dict[str, Callable[[Document], str]] = {
    "external": external,
    "votes": votes,
    "judge": judge,
}
