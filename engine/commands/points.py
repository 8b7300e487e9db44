"""generate, evaluate, sweep: commands that run models."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from cache.point import Point
from cache.rows import score_id
from engine.bands import GROUPS
from engine.commands.attributing import with_attribution
from engine.commands.gaps import gap_document, gap_ends
from engine.commands.session import Session, progress
from engine.errors import bad
from engine.front.table import point_document
from engine.recipe import Recipe, point_id, resolve
from engine.scoring.intervals import with_intervals
from engine.search.designs import design
from engine.study_file import variables_of
from engine.worker.messages import Event
from studio.sweeps import queue
from studio.workbench import Workbench

END_SECONDS = 3.0
"""How long an interrupted sweep may take to end."""


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
            documents.get(point) or _failed(each, family)
            for point, each in zip(ids, recipes, strict=True)
        ]
    }


def _failed(recipe: Recipe, family: str) -> dict[str, Any]:
    """The document of a point of which nothing was saved."""
    point = Point(point_id(recipe, family), recipe.as_dict(), {}, None, "nothing was measured", 0.0)
    return point_document(point)


def documents_of(
    session: Session, split: str, objectives: Sequence[str], only: Collection[str]
) -> dict[str, dict[str, Any]]:
    """Point id -> JSON document of each given point, with its scores on the given objectives."""
    session.store.refresh()
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


def sweep(args: SimpleNamespace) -> Iterator[dict[str, Any]]:
    """Evaluate a design; each point when its scores are on disk, then the count.

    It stands in the workspace's queue as the app's sweeps do, and what was left unfinished of the
    same designs goes on.
    """
    with Session(args, executor=args.executor) as session:
        designs = [_design(method, args) for method in args.method]
        found = (recipe for each in designs for recipe in design(session.study, **each))
        recipes = [resolve(each, session.names, "--groups") for each in dict.fromkeys(found)]
        objectives = session.chosen()
        session.open()
        models = session.lacking(session.singles, objectives)
        if models:
            given = [each.as_dict() for each in models]
            payload = {"recipes": given, "objectives": objectives, "have": session.have(models)}
            session.run("sweep", payload)
        printed = _Printed(session, recipes, objectives)
        yield from printed.ready()
        if printed.waiting:
            with contextlib.closing(swept(session, designs, recipes, objectives)) as events:
                for event in events:
                    if event.kind == "result":
                        yield from printed.arrived(event.data["row"])
                    elif event.kind == "there":
                        yield from printed.elsewhere(event.data["point"])
                    elif event.kind == "progress":
                        progress.job(event.data)
        yield from printed.rest()
        yield {"done": True, "points": len(recipes), "failed": printed.failed}


def _design(method: str, args: SimpleNamespace) -> dict[str, Any]:
    seed = args.seed if args.strategy == "sobol" else 0
    return {
        "method": method, "points": args.points, "strategy": args.strategy, "seed": seed,
        "parameters": {GROUPS.name: args.groups} if args.groups > 1 else {},
    }  # fmt: skip


def swept(
    bench: Workbench,
    designs: Sequence[Mapping[str, Any]],
    recipes: Sequence[Recipe],
    objectives: Sequence[str],
) -> Generator[Event]:
    """The events of a sweep in the queue, one that was left unfinished where there is one.

    Closing it, or an interrupt, cancels the sweep; the queue knows how it ended.
    """
    found = queue.queue(bench)
    assert found is not None
    wanted = tuple(recipes)
    left = (each for each in found.resumable if queue.same(bench, each, wanted, objectives))
    sweep = next(left, None)
    if sweep is not None:
        queue.resume(bench, sweep)
    if sweep is None or sweep.elsewhere:
        sweep = queue.enqueue(bench, designs, wanted, objectives, {})
    task = bench.task(f"sweep:{sweep.id}")
    if task is None:  # another process has measured all of it meanwhile
        return
    try:
        yield from task.handle.events()
    except BaseException:
        queue.cancel(bench, sweep)
        raise
    finally:
        queue.finish(bench, sweep, END_SECONDS)
    task.handle.result()


class _Printed:
    """Which points of a sweep are complete and have been given.

    A row that arrives costs a look at its own point, and only once nothing more is missing there:
    what else is stored does not matter.
    """

    def __init__(
        self, session: Session, recipes: Sequence[Recipe], objectives: Sequence[str]
    ) -> None:
        self.session, self.objectives = session, objectives
        opened = session.opened
        assert opened is not None
        there = frozenset(session.have(recipes))
        prints = [opened.objectives[name] for name in objectives]
        self.family = opened.family
        self.waiting = {session.point_id(each): each for each in recipes}
        self.missing = {
            point: {
                each
                for each in prints
                if score_id(point, each, "explore", opened.numerics) not in there
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
            yield documents.get(point) or _failed(recipe, self.family)

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
        return documents_of(self.session, "explore", self.objectives, points)
