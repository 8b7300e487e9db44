"""generate, evaluate, sweep: what runs on models."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from cache.point import Point
from cache.rows import score_id
from engine.commands.session import Session, cancelling, progress
from engine.errors import bad
from engine.front.table import point_document
from engine.recipe import Recipe, point_id, resolve
from engine.scoring.intervals import with_intervals
from engine.study_file import variables_of


def generate(args: SimpleNamespace) -> dict[str, Any]:
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


def _variables(args: SimpleNamespace) -> Mapping[str, Any]:
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


def evaluate(args: SimpleNamespace) -> dict[str, Any]:
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
    family = session.family_fingerprint
    ids = [point_id(each, family) for each in recipes]
    documents = documents_of(session, numerics, split, objectives, ids)
    session.tell_earlier(numerics, split)
    return {
        "points": [
            documents.get(point) or _failed(each, family)
            for point, each in zip(ids, recipes, strict=True)
        ]
    }


def _failed(recipe: Recipe, family: str) -> dict[str, Any]:
    """The document of a point of which nothing was saved."""
    point = Point(point_id(recipe, family), recipe.as_dict(), {}, None, "nothing was measured", 0.0)
    return point_document(point)


def documents_of(
    session: Session,
    numerics: str,
    split: str,
    objectives: Sequence[str],
    only: Collection[str],
) -> dict[str, dict[str, Any]]:
    """Point id -> its JSON document, of the points named, with the scores of the objectives
    named."""
    session.store.refresh()
    documents = {}
    for point in session.points(numerics, split, only):
        document = point_document(point)
        scores = with_intervals(document["scores"], session.scorers)
        document["scores"] = {name: scores[name] for name in objectives if name in scores}
        means = [document["scores"].get(name, {}).get("mean") for name in objectives]
        if None not in means:  # what failed was another objective
            document["error"] = None
        documents[point.id] = document
    return documents


def sweep(args: SimpleNamespace) -> Iterator[dict[str, Any]]:
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
        have = session.have(every, "explore", numerics)
        handle = session.submit(
            "sweep",
            {
                "recipes": [each.as_dict() for each in every],
                "objectives": objectives,
                "split": "explore",
                "have": have,
            },
            "sweep",
        )
        printed = _Printed(session, recipes, objectives, numerics, have)
        with cancelling(handle):
            yield from printed.ready()
            for event in handle.events():
                if event.kind == "result":
                    yield from printed.arrived(event.data["row"])
                elif event.kind == "there":
                    yield from printed.elsewhere(event.data["point"])
                elif event.kind == "progress":
                    progress.job(event.data)
            handle.result()
        yield from printed.rest()
        yield {"done": True, "points": len(recipes), "failed": printed.failed}


class _Printed:
    """Which points of a sweep are complete and have been given.

    A row that arrives costs a look at its own point, and only once nothing more is missing there:
    what else is stored does not matter.
    """

    def __init__(
        self,
        session: Session,
        recipes: Sequence[Recipe],
        objectives: Sequence[str],
        numerics: str,
        have: Collection[str],
    ) -> None:
        self.session, self.objectives, self.numerics = session, objectives, numerics
        family, there = session.family_fingerprint, frozenset(have)
        prints = [session.objective_fingerprints[name] for name in objectives]
        self.waiting = {point_id(each, family): each for each in recipes}
        self.missing = {
            point: {
                each for each in prints if score_id(point, each, "explore", numerics) not in there
            }
            for point in self.waiting
        }
        self.failed = 0

    def ready(self) -> Iterator[dict[str, Any]]:
        """Documents of the points that had every score before."""
        yield from self._complete([each for each in self.waiting if not self.missing[each]])

    def arrived(self, row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The document of a saved row's point, where that was its last missing score."""
        point = row["point"]
        if point in self.waiting and row["kind"] == "score":
            self.missing[point].discard(row["objective_fingerprint"])
            if not self.missing[point]:
                yield from self._complete([point])

    def elsewhere(self, point: str) -> Iterator[dict[str, Any]]:
        """The document of a point that another process has completed."""
        if point in self.waiting:
            self.missing[point].clear()
            yield from self._complete([point])

    def rest(self) -> Iterator[dict[str, Any]]:
        """Documents of all that is left: another process may have measured some."""
        yield from self._complete(list(self.waiting))
        documents = self._documents(list(self.waiting))
        for point, recipe in self.waiting.items():
            self.failed += 1
            yield documents.get(point) or _failed(recipe, self.session.family_fingerprint)

    def _complete(self, points: Sequence[str]) -> Iterator[dict[str, Any]]:
        documents = self._documents(points)
        for point in points:
            document = documents.get(point)
            if document and set(document["scores"]) >= set(self.objectives):
                del self.waiting[point]
                self.failed += document["error"] is not None
                yield document

    def _documents(self, points: Sequence[str]) -> dict[str, dict[str, Any]]:
        if not points:
            return {}
        return documents_of(self.session, self.numerics, "explore", self.objectives, points)
