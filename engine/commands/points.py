"""generate, evaluate, sweep: what runs on models."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cache.point import Point
from engine.commands.session import Session, cancelling, progress
from engine.errors import bad
from engine.front.table import point_document
from engine.recipe import Recipe, point_id, resolve
from engine.scoring.intervals import with_intervals
from engine.study_file import variables_of


def generate(args: Namespace) -> dict[str, Any]:
    """Answers of one recipe to prompts."""
    with Session(args) as session:
        (recipe,) = session.recipes()
        result = session.run(
            "generate",
            {
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
        return {"recipe": result["recipe"], "outputs": result["outputs"]}


def _variables(args: Namespace) -> Mapping[str, Any]:
    """The variables of --template-kwargs."""
    given, where = args.template_kwargs, "--template-kwargs"
    if given is None:
        return {}
    if not args.chat:
        raise bad(where, "no prompt goes through the chat template", "Add --chat.")
    try:
        value = json.loads(given)
    except (ValueError, RecursionError) as error:
        raise bad(where, f"not JSON ({error})", 'Write {"enable_thinking": false}.') from None
    return dict(variables_of(value, where))


def evaluate(args: Namespace) -> dict[str, Any]:
    """Scores of recipes or points; what is there already is not computed again."""
    with Session(args) as session:
        return evaluated(session, session.recipes(), args.split, [e.name for e in session.chosen()])


def evaluated(
    session: Session, recipes: Sequence[Recipe], split: str, objectives: Sequence[str]
) -> dict[str, Any]:
    """The points of `recipes` over `objectives`, evaluated where they are not yet."""
    numerics = str(session.run("open", {})["numerics"])
    session.run(
        "evaluate",
        {
            "recipes": [each.as_dict() for each in recipes],
            "objectives": list(objectives),
            "split": split,
            "have": session.have(recipes, split, numerics),
        },
    )
    documents = documents_of(session, numerics, split, objectives)
    session.tell_earlier(numerics, split)
    family = session.family_fingerprint
    return {
        "points": [
            documents.get(point_id(each, family)) or _failed(each, family) for each in recipes
        ]
    }


def _failed(recipe: Recipe, family: str) -> dict[str, Any]:
    """The document of a point of which nothing was saved."""
    point = Point(point_id(recipe, family), recipe.as_dict(), {}, None, "nothing was measured", 0.0)
    return point_document(point)


def documents_of(
    session: Session, numerics: str, split: str, objectives: Sequence[str] | None = None
) -> dict[str, dict[str, Any]]:
    """Point id -> its JSON document, with the scores of the objectives named."""
    session.store.refresh()
    documents = {}
    for point in session.points(numerics, split):
        document = point_document(point)
        document["scores"] = with_intervals(document["scores"], session.scorers)
        if objectives is not None:
            scores = document["scores"]
            document["scores"] = {name: scores[name] for name in objectives if name in scores}
        documents[point.id] = document
    return documents


def sweep(args: Namespace) -> Iterator[dict[str, Any]]:
    """Evaluate a design; each point when its scores are on disk, then the count."""
    from engine.search.designs import design

    with Session(args, executor=args.executor) as session:
        if args.strategy == "suggest":
            raise bad("--strategy", "suggest is not part of this version", "Use grid or sobol.")
        recipes = [
            recipe
            for method in args.method
            for recipe in design(session.study, method, args.points, args.strategy, args.seed)
        ]
        recipes = list(dict.fromkeys(recipes))
        names = session.study.family.names
        singles = [resolve(Recipe("single", {}, {"model": model}), names) for model in names.models]
        objectives = [each.name for each in session.chosen()]
        numerics = str(session.run("open", {})["numerics"])
        every = [*singles, *recipes]
        handle = session.submit(
            "sweep",
            {
                "recipes": [each.as_dict() for each in every],
                "objectives": objectives,
                "split": "explore",
                "have": session.have(every, "explore", numerics),
            },
            "sweep",
        )
        printed = _Printed(session, recipes, objectives, numerics)
        with cancelling(handle):
            yield from printed.ready()
            for event in handle.events():
                if event.kind == "result":
                    yield from printed.ready(event.data["row"]["point"])
                elif event.kind == "progress":
                    progress.job(event.data)
            handle.result()
        yield from printed.rest()
        yield {"done": True, "points": len(recipes), "failed": printed.failed}


class _Printed:
    """Which points of a sweep are complete and have been given."""

    def __init__(
        self, session: Session, recipes: Sequence[Recipe], objectives: Sequence[str], numerics: str
    ) -> None:
        self.session, self.objectives, self.numerics = session, objectives, numerics
        family = session.family_fingerprint
        self.waiting = {point_id(each, family): each for each in recipes}
        self.failed = 0

    def ready(self, only: str | None = None) -> Iterator[dict[str, Any]]:
        """Documents of points that have every score now, or have failed."""
        if only is not None and only not in self.waiting:
            return
        documents = documents_of(self.session, self.numerics, "explore", self.objectives)
        for point in list(self.waiting) if only is None else [only]:
            document = documents.get(point)
            if document and set(document["scores"]) >= set(self.objectives):
                del self.waiting[point]
                yield document

    def rest(self) -> Iterator[dict[str, Any]]:
        """Documents of the points that did not get every score."""
        documents = documents_of(self.session, self.numerics, "explore", self.objectives)
        for point, recipe in self.waiting.items():
            self.failed += 1
            yield documents.get(point) or _failed(recipe, self.session.family_fingerprint)
