"""sweep: many points, placed by a design or asked for batch after batch by a search."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from cache.rows import score_id
from engine.bands import GROUPS
from engine.commands.points import documents_of, failed_document
from engine.commands.racing import raced, scored
from engine.commands.session import Session, progress
from engine.errors import bad
from engine.recipe import Recipe, resolve
from engine.search.designs import design
from engine.search.strategies import STRATEGIES, is_search
from engine.study_members import measured_of
from engine.worker.messages import Event
from studio.sweeps import queue, searching
from studio.sweeps.sweep import Sweep, recipes_of
from studio.workbench import Workbench

LOOK_SECONDS = 0.05
END_SECONDS = 3.0
"""How long an interrupted sweep may take to end."""


def sweep(args: SimpleNamespace) -> Iterator[dict[str, Any]]:
    """Evaluate a design or a search; each point when its scores are on disk, then the count.

    It stands in the workspace's queue as the app's sweeps do, and what was left unfinished of the
    same designs goes on. A raced one is not listed there, and goes on where it was.
    """
    options = _options(args)
    with Session(args, executor=args.executor) as session:
        designs = [_design(method, args) for method in args.method]
        if options is not None:
            yield from _searched(session, designs, options)
            return
        found = (recipe for each in designs for recipe in design(session.study, **each))
        recipes = [resolve(each, session.names, "--groups") for each in dict.fromkeys(found)]
        objectives = _opened(session)
        recipes, more, rest = yield from raced(session, recipes, objectives, args.race)
        printed = _Printed(session, recipes, objectives)
        yield from printed.ready()
        if printed.waiting:
            job = scored(session, rest) if rest else swept(session, designs, recipes, objectives)
            with contextlib.closing(job) as events:
                for event in events:
                    if event.kind == "result":
                        yield from printed.arrived(event.data["row"])
                    elif event.kind == "there":
                        yield from printed.elsewhere(event.data["point"])
                    elif event.kind == "progress":
                        progress.job(event.data)
        yield from printed.rest()
        yield {"done": True, "points": len(recipes), "failed": printed.failed, **more}


def _opened(session: Session) -> list[str]:
    """The objectives, once the study is open and its models are scored on them."""
    objectives = session.chosen()
    session.open()
    models = session.lacking(session.singles, objectives)
    if models:
        given = [each.as_dict() for each in models]
        payload = {"recipes": given, "objectives": objectives, "have": session.have(models)}
        session.run("sweep", payload)
    return objectives


def _options(args: SimpleNamespace) -> searching.Options | None:
    """What a search is asked for; None for a design.

    Raises:
        BadInput: an option that the strategy does not take.
    """
    found = {
        "--surrogate": args.surrogate is not None, "--until-still": args.until_still,
        "--at-least": bool(args.at_least), "--at-most": bool(args.at_most),
    }  # fmt: skip
    wrong = next((name for name, given in found.items() if given), None)
    if wrong is not None and args.strategy != "suggest":
        raise bad(wrong, f"{args.strategy} does not take it", "Add --strategy suggest.")
    if args.weight and args.strategy != "cmaes":
        raise bad("--weight", f"{args.strategy} does not take it", "Add --strategy cmaes.")
    if not is_search(args.strategy):
        return None
    if args.race is not None:
        raise bad("--race", f"{args.strategy} does not take it", "Choose a design, as sobol.")
    return searching.Options(
        args.surrogate or "quadratic", args.until_still, tuple(args.weight),
        tuple(args.at_least), tuple(args.at_most),
    )  # fmt: skip


def _searched(
    session: Session, designs: Sequence[Mapping[str, Any]], options: searching.Options
) -> Iterator[dict[str, Any]]:
    """The points of a search as they come, batch after batch; one of the same designs and options
    goes on, up to the points asked for now."""
    searching.check(session.objectives, session.names, designs, options)
    objectives = _opened(session)
    sweep = _same_search(session, designs, objectives, options)
    points = searching.budget(designs)
    if sweep is None or not queue.resume(session, sweep, points):
        state = searching.state_of(options)
        sweep = queue.enqueue(session, designs, (), objectives, {}, state)
    printed = _Printed(session, (), objectives)
    told = 0

    def news() -> Iterator[dict[str, Any]]:
        nonlocal told
        batch = recipes_of(session, sweep)[told:points]
        told += len(batch)
        printed.add(batch)
        yield from printed.ready()

    yield from news()
    with contextlib.closing(_stages(session, sweep)) as events:
        for event in events:
            yield from news()
            if event.kind == "result":
                yield from printed.arrived(event.data["row"])
            elif event.kind == "there":
                yield from printed.elsewhere(event.data["point"])
            elif event.kind == "progress":
                progress.job(event.data)
    yield from news()
    yield from printed.rest()
    state = sweep.search or {}
    why = state["why"] or f"all {told} points asked for are measured"
    yield {
        "done": True, "points": told, "failed": printed.failed, "why": why,
        "gain": state["gain"], "noise": state["noise"],
    }  # fmt: skip


def _same_search(
    session: Session,
    designs: Sequence[Mapping[str, Any]],
    objectives: Sequence[str],
    options: searching.Options,
) -> Sweep | None:
    """The latest search that was asked for the same, whatever its number of points; none that
    another process has."""
    found = queue.queue(session)
    assert found is not None
    every = found.of_state("done", "unfinished", "failed", "cancelled")
    same = [
        each for each in every
        if each.search is not None and each.objectives == tuple(objectives)
        and each.search["options"] == options.document()
        and searching.same_search(each.designs, designs)
    ]  # fmt: skip
    return max(same, key=lambda each: each.created, default=None)


def _stages(session: Session, sweep: Sweep) -> Generator[Event]:
    """The events of a search's jobs, one after another. Closing it, or an interrupt, cancels it."""
    before = None
    try:
        while sweep.state in ("waiting", "running"):
            queue.advance(session)
            task = session.task(f"sweep:{sweep.id}")
            if task is None or task is before:
                time.sleep(LOOK_SECONDS)
                continue
            yield from task.handle.events()
            before = task
    except BaseException:
        queue.cancel(session, sweep)
        raise
    finally:
        queue.finish(session, sweep, END_SECONDS)
    if sweep.state == "failed" and before is not None:
        before.handle.result()


def _design(method: str, args: SimpleNamespace) -> dict[str, Any]:
    seed = args.seed if STRATEGIES[args.strategy].seeded else 0
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
        self.session, self.objectives, self.failed = session, objectives, 0
        opened = session.opened
        assert opened is not None
        self.family = opened.family
        self.waiting: dict[str, Recipe] = {}
        self.missing: dict[str, set[str]] = {}
        self.add(recipes)

    def add(self, recipes: Sequence[Recipe]) -> None:
        """More points to wait for."""
        if not recipes:
            return
        opened = self.session.opened
        assert opened is not None
        there = frozenset(self.session.have(recipes))
        own = measured_of(self.session.study.select(list(self.objectives)))
        prints = [opened.objectives[each.name] for each in own]
        new = {self.session.point_id(each): each for each in recipes}
        self.waiting |= new
        self.missing |= {
            point: {
                each
                for each in prints
                if score_id(point, each, "explore", opened.numerics) not in there
            }
            for point in new
        }

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
            yield documents.get(point) or failed_document(recipe, self.family)

    def _complete(self, points: Sequence[str]) -> Iterator[dict[str, Any]]:
        documents = self._documents(points)
        for point in points:
            document = documents.get(point)
            if document and set(document["scores"]) >= set(self.objectives):
                del self.waiting[point]
                self.failed += document["error"] is not None
                yield document

    def _documents(self, points: Sequence[str]) -> dict[str, dict[str, Any]]:
        return documents_of(self.session, "explore", self.objectives, points) if points else {}
