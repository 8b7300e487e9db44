"""The readable text of each command's document."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from engine.commands.report_rows import MORE, gap_words, stopped_point
from engine.counted import counted, size_text
from engine.front.bounds import Unmet
from engine.recipe import recipe_from_dict
from studio.points.numbers import share_text
from studio.points.words import caught_text

Document = Mapping[str, Any]

MAYBE = 5
"""Points beside the front that are listed."""


def number(value: float | None, digits: int = 4) -> str:
    """A number for people; – if there is none."""
    return "–" if value is None else f"{value:.{digits}g}"


def score(value: Mapping[str, Any]) -> str:
    """mean ± standard error [95 % interval]; only the interval if the error is 0."""
    error, low, high = (value.get(key) for key in ("stderr", "low", "high"))
    text = number(value["mean"])
    known = low is not None and high is not None
    if error is not None and not (known and error == 0):
        text += f" ± {number(error, 2)}"
    if known:
        text += f" [{number(low)}, {number(high)}]"
    return text + (f" ({value['note']})" if value.get("note") else "")


def recipe_text(data: Mapping[str, Any]) -> str:
    return str(recipe_from_dict(data))


def point(document: Document) -> str:
    """One point in a line, its scores in the study's order."""
    if "done" in document:
        why = f"; {document['why']}" if document.get("why") else ""
        if document.get("stopped"):
            why += f"; {counted(document['stopped'], 'more point')} stopped early"
        return f"done: {counted(document['points'], 'point')}, {document['failed']} failed{why}"
    if "threshold" in document:
        return stopped_point(document)
    parts = [f"{name} {score(value)}" for name, value in document["scores"].items()]
    if document.get("error"):
        parts.append(f"failed: {document['error']}")
    closed = gap_words(document.get("gap"))
    return f"{document['id']}  {recipe_text(document['recipe'])}: {', '.join(parts)}{closed}"


def points(document: Document) -> str:
    """Points, a line each."""
    return "\n".join(point(each) for each in document["points"])


def best(document: Document) -> str:
    """The best point, and how it was found."""
    steps, value = counted(document["steps"], "step"), number(document["value"], 6)
    return f"{point(document['point'])}\nfound in {steps}, {value} nats per token"


def outputs(document: Document) -> str:
    """Prompts and answers; along a slider each with the values that give it."""
    lines = [recipe_text(document["recipe"])]
    for each in document["outputs"]:
        lines += ["", f"> {each['prompt']}"]
        if "slider" not in document:
            lines += [each["text"], *_attribution(each)]
            continue
        for part in each["intervals"]:
            ends = f"{number(part['from'], 6)} to {number(part['to'], 6)}"
            lines += [f"[{document['slider']} {ends}]", part["text"]]
    return "\n".join(lines)


def _attribution(output: Document) -> Iterator[str]:
    """A line a token: its text, its probability, and that without each coefficient."""
    if "attribution" not in output:
        return
    found = output["attribution"]
    if found is None:
        yield "(one model, merged or as it is: there is nothing to attribute)"
        return
    without = {name: each for name, each in found["without"].items() if each is not None}
    missing = [name for name in found["without"] if name not in without]
    yield "probability of each token, with all and without one (before temperature, top p, top k):"
    if missing:
        yield f"(not defined without: {', '.join(missing)})"
    shown = [repr(each) for each in found["tokens"]]
    width = max(map(len, shown), default=0)
    for place, (token, value) in enumerate(zip(shown, found["probability"], strict=True)):
        parts = [f"{name} {each[place]:.3f}" for name, each in without.items()]
        said = f"  without {', '.join(parts)}" if parts else ""
        yield f"  {token:<{width}}  {value:.3f}{said}"


def predicted(document: Document) -> str:
    """Every recipe with the value, band, calibration and reach of each objective's surface."""
    blocks = []
    for each in document["points"]:
        lines = [f"{recipe_text(each['recipe'])}: predicted, not measured"]
        if each["measured"]:
            lines = [f"{recipe_text(each['recipe'])}: predicted; its measured scores: evaluate"]
        for name, found in each["predicted"].items():
            band = " … ".join(number(found[end]) for end in ("low", "high"))
            far = ", outside the points measured: extrapolated" if found["outside"] else ""
            caught = caught_text(found["calibration"])
            lines.append(f"  {name} {number(found['mean'])}, {band}{caught}{far}")
        if each["few"]:
            lines.append("  too few points to predict: {have} of {need}".format(**each["few"]))
        blocks.append("\n".join(lines))
    return "\n".join(blocks)


def front(document: Document) -> str:
    """The front's ids and what it is worth."""
    names = ", ".join(document["objectives"])
    lines = [
        f"front over {names}: {len(document['front'])} of {counted(document['points'], 'point')}"
    ]
    useful, known = document.get("utility", {}), document["probability"] or {}
    closed = document.get("gap", {})
    for each in document["front"]:
        said = f"  utility {number(useful[each])}" if each in useful else ""
        lines.append(f"  {each}{said}{_surely(known.get(each))}{gap_words(closed.get(each))}")
    lines += _beside(document, known)
    if document.get("cone"):
        lines.append(f"accepted: {', '.join(document['cone'])}")
    if "excluded" in document:
        asked = ", ".join(document["constraints"])
        lines.append(f"{counted(document['excluded'], 'point')} set aside by {asked}")
    if not document["front"]:
        lines.append("No point has a score for each of them: evaluate or sweep first.")
    if document["hypervolume"] is not None:
        reference = ", ".join(number(each) for each in document["reference"])
        lines.append(f"hypervolume {number(document['hypervolume'], 6)} to ({reference})")
    if document["failed"] or document["incomplete"]:
        lines.append(
            f"{document['failed']} failed, {document['incomplete']} incomplete (set aside)"
        )
    lines += [external_point(each) for each in document.get("external", ())]
    lines += [stopped_point(each) for each in document.get("partial", ())]
    if "out" in document:
        lines.append(f"written to {document['out']}")
    return "\n".join(lines)


def share(value: float | None) -> str:
    """A probability for people."""
    return "unknown" if value is None else share_text(value)


def _surely(value: float | None) -> str:
    return "" if value is None else f"  on the front with probability {share(value)}"


def _beside(document: Document, known: Mapping[str, float | None]) -> Iterator[str]:
    """Points that may be on the front though their means are not, and those within each bound."""
    front = set(document["front"])
    others = {name: each for name, each in known.items() if name not in front and each}
    likely = sorted(others, key=lambda name: -(others[name] or 0.0))[:MAYBE]
    if likely:
        yield "not on it by their means, and yet"
        yield from (f"  {each}{_surely(known[each])}" for each in likely)
    for each in document["bounds"]:
        yield f"{each['name']} {each['words']} {number(each['bound'])}, on the front:"
        met = each["probability"] or {}
        yield from (f"  {name}  {share(met.get(name))}" for name in document["front"])


def external_point(document: Document) -> str:
    """One external point in a line."""
    parts = [f"{name} {score(value)}" for name, value in document["scores"].items()]
    text = f"{document['id']}  external: {document['name']}: {', '.join(parts)}"
    if document.get("stale"):
        text += f"; not shown, since the objective is another now: {', '.join(document['stale'])}"
    beaten = document.get("dominated_by")
    if beaten is None:
        return text
    return f"{text}; dominated by {beaten} of the front" if beaten else f"{text}; not dominated"


def recommendation(document: Document) -> str:
    """The recommended point, its utility, and the bounds and constraints that nothing meets."""
    chosen = document["point"]
    shown = point(chosen) if chosen.get("recipe") else str(chosen["id"])
    lines = [shown]
    if "utility" in document:
        lines.append(f"utility {score(document['utility'])}")
    lines += [
        f"no point has {each['name']} {Unmet(**each).words} {number(each['bound'])}; "
        f"the closest has {number(each['closest'])}"
        for each in document["unmet"]
    ]
    if document["share"] is not None:
        rivals = ", ".join(f"{each['point']} {share(each['share'])}" for each in document["rivals"])
        others = f"; others: {rivals}" if rivals else ""
        chance = share(document["share"])
        lines.append(f"with these errors it is the pick with probability {chance}{others}")
    if "optimised" in document:
        from engine.commands.improving import said

        lines += said(document["optimised"], point)
    return "\n".join(lines)


def written(document: Document) -> str:
    """Where a result lies."""
    lines = [f"{document['out']}:", *(f"  {name}" for name in document.get("files", ()))]
    if "study" in document:
        lines = [f"{document['study']}"]
    if document.get("verified") is not None:
        difference = number(document["max_logit_difference"])
        lines.append(f"verified: largest logit difference {difference}")
    return "\n".join(lines)


def served(document: Document) -> str:
    """Where a point is served, and under which name."""
    where = f"{document['url']} serves the model {document['model']}; Ctrl-C ends it"
    return f"{recipe_text(document['recipe'])}\n{where}"


MEMORY = {
    "weight_space_bytes": "Memory for weight space, at most",
    "live_bytes": "  of it the live merged model",
    "basis_bytes": "  of it a basis while it is made",
    "logit_space_bytes": "Memory for logit space, at most",
    "available_bytes": "Free memory now",
}
"""What each size of `check` is, in words."""


def check(document: Document) -> str:
    """That nothing is wrong, the notes and the memory; problems go to standard error."""
    lines = ["No problem found.", *(f"Note: {note}" for note in document["notes"])]
    if document["memory"]:
        lines += [f"{MEMORY[key]}: {size_text(size)}" for key, size in document["memory"].items()]
        lines += [f"{way['what']}: {way['text']}" for way in document["ways"].values()]
    return "\n".join(lines)


REPORTS: dict[str, Callable[[Document], str]] = {
    "merge": written,
    "generate": outputs,
    "evaluate": points,
    "sweep": point,
    "best": best,
    "predict": predicted,
    **MORE,
    "front": front,
    "recommend": recommendation,
    "export": written,
    "serve": served,
    "check": check,
    "demo": written,
}
