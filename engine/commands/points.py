"""generate, evaluate: commands that run models."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from cache.point import Point
from engine.commands.attributing import with_attribution
from engine.commands.gaps import gap_document, gap_ends
from engine.commands.session import Session
from engine.errors import bad
from engine.front.table import point_document
from engine.recipe import Recipe, point_id
from engine.scoring.intervals import with_intervals
from engine.study_file import variables_of
from studio.combining import refresh


def generate(args: SimpleNamespace) -> dict[str, Any]:
    """Answers of one recipe to prompts; with --map all of them along one of its sliders."""
    if args.map is None and args.map_range is not None:
        raise bad("--map-range", "no slider is mapped", "Add --map NAME.")
    if args.map is not None and args.attribute:
        raise bad("--attribute", "a map has many answers", "Leave one of the two out.")
    with Session(args) as session:
        (recipe,) = session.recipes()
        mapped = args.map is not None
        result = session.run(
            "map" if mapped else "generate",
            {
                **({"slider": args.map, "range": args.map_range} if mapped else {}),
                "recipe": recipe.as_dict(),
                "prompts": args.prompt,
                "chat": args.chat,
                "max_new_tokens": args.max_new_tokens,
                "temperature": args.temperature,
                "top_p": args.top_p,
                "top_k": args.top_k,
                "seed": args.seed,
                "stop": args.stop,
                "template_kwargs": _variables(args),
            },
        )
        kept = ("recipe", "slider", "range", "outputs") if mapped else ("recipe", "outputs")
        found = {name: result[name] for name in kept}
        if args.attribute:
            found["outputs"] = with_attribution(session, args, _variables(args), result)
        return found


def _variables(args: SimpleNamespace) -> Mapping[str, Any]:
    """The variables of --template-kwargs."""
    given, where = args.template_kwargs, "--template-kwargs"
    if given is None:
        return {}
    if not args.chat:
        raise bad(where, "no prompt uses the chat template", "Add --chat.")
    try:
        value = json.loads(given)
    except (ValueError, RecursionError) as error:
        raise bad(where, f"not JSON ({error})", 'Write {"enable_thinking": false}.') from None
    return dict(variables_of(value, where))


def evaluate(args: SimpleNamespace) -> dict[str, Any]:
    """Scores of recipes or points; what is there already is not computed again."""
    with Session(args) as session:
        ends = gap_ends(session, args.gap)
        recipes = session.recipes()
        found = evaluated(session, recipes, args.split, session.chosen())
        for document, recipe in zip(found["points"] if ends else (), recipes, strict=False):
            document["gap"] = gap_document(session, recipe, ends, session.chosen(), args.split)
        return found


def evaluated(
    session: Session, recipes: Sequence[Recipe], split: str, objectives: Sequence[str]
) -> dict[str, Any]:
    """The points of `recipes` over `objectives`, evaluated where they are not yet."""
    family = session.open().family
    session.run(
        "evaluate",
        {
            "recipes": [each.as_dict() for each in recipes],
            "objectives": list(objectives),
            "split": split,
            "have": session.have(recipes, split),
        },
    )
    ids = [session.point_id(each) for each in recipes]
    documents = documents_of(session, split, objectives, ids)
    session.tell_earlier(split)
    return {
        "points": [
            documents.get(point) or failed_document(each, family)
            for point, each in zip(ids, recipes, strict=True)
        ]
    }


def failed_document(recipe: Recipe, family: str) -> dict[str, Any]:
    """The document of a point of which nothing was saved."""
    point = Point(point_id(recipe, family), recipe.as_dict(), {}, None, "nothing was measured", 0.0)
    return point_document(point)


def documents_of(
    session: Session, split: str, objectives: Sequence[str], only: Collection[str]
) -> dict[str, dict[str, Any]]:
    """Point id -> JSON document of each given point, with its scores on the given objectives."""
    refresh(session)
    documents = {}
    for point in session.points(only, split):
        document = point_document(point)
        scores = with_intervals(document["scores"], session.scorers)
        document["scores"] = {name: scores[name] for name in objectives if name in scores}
        # votes come later, by people
        own = [name for name in objectives if session.scorers[name] != "votes"]
        means = [document["scores"].get(name, {}).get("mean") for name in own]
        if None not in means:  # what failed was another objective
            document["error"] = None
        documents[point.id] = document
    return documents
