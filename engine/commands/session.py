"""The workbench of one command: what the app does with a study, from the command line."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cache.damage import told
from cache.point import Point
from cache.store import Store
from engine.errors import shown, unknown
from engine.family.compatibility import open_family
from engine.jobs.executor import Handle
from engine.jobs.inline import InlineExecutor
from engine.jobs.local import LocalExecutor
from engine.recipe import Recipe, read_recipe, recipe_from_dict, resolve
from engine.scoring.objectives import copies_notes, prepare
from engine.study import load_study
from studio.combining import save_combinations
from studio.remembered import keys_before
from studio.workbench import Opened, Workbench


class Progress:
    """Progress on standard error: one line rewritten on a terminal, a line per step elsewhere."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, line: str, detail: str = "") -> None:
        """Show where the work stands.

        Args:
            detail: changes too often for a log; shown on a terminal only.
        """
        if sys.stderr.isatty():
            text = shown(f"{line} · {detail}" if detail else line)
            sys.stderr.write(f"\033[2K{text}\r")
        elif line != self._last:
            sys.stderr.write(shown(line) + "\n")
        self._last = line
        sys.stderr.flush()

    def job(self, data: Mapping[str, Any]) -> None:
        """Show a job's progress event."""
        detail = str(data.get("objective") or "")
        if data.get("waiting"):
            detail = "the rest is being measured by other processes"
        if data.get("of_rows"):
            detail += f" {data['rows']} of {data['of_rows']}"
        total = data.get("total")
        self(f"{data.get('done', 0)} of {total}" if total else "working", detail)


progress = Progress()


class Session(Workbench):
    """A workbench for one command."""

    def __init__(self, args: SimpleNamespace, *, executor: str = "inline") -> None:
        study = load_study(args.study)
        family = open_family(study.family)
        objectives = prepare(study, chat_template=family.has_chat_template)
        for note in copies_notes(objectives):
            sys.stderr.write(f"{shown(note)}\n")
        store = Store.open(args.workspace)
        for line in told(store.workspace, store.damages):
            sys.stderr.write(shown(line) + "\n")
        engine = (LocalExecutor if executor == "local" else InlineExecutor)(
            args.workspace,
            device=args.device,
            compute_dtype=args.compute_dtype,
            on_rows=store.append,
            claims=store.claims,
        )
        super().__init__(study, objectives, family, args.workspace, store, engine)
        self.args = args
        save_combinations(self)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.executor.close()
        self.store.close()

    @property
    def known(self) -> Opened | None:
        """What the engine said; else what the files say, read for it; None without a score."""
        if self.opened is None and self._remembered is None:
            found = keys_before(self.family, self.objectives, self.store, self.workspace, wait=True)
            self._remembered = Opened(*found) if found is not None else None
        return super().known

    @property
    def scorers(self) -> dict[str, str]:
        """Objective -> its scorer."""
        return {each.name: each.scorer for each in self.objectives}

    def chosen(self) -> list[str]:
        """The objectives of --objectives, in its order."""
        return [each.name for each in self.study.select(self.args.objectives)]

    def recipes(self) -> list[Recipe]:
        """The recipes of --recipe and --point, in the order of the arguments."""
        found = []
        for kind, value in self.args.wanted:
            if kind == "recipe":
                found.append(resolve(read_recipe(Path(value)), self.names, value))
            else:
                found.append(self.recipe_of(value))
        return found

    def recipe_of(self, point: str) -> Recipe:
        """The recipe of a point of this workspace; raises `BadInput` if there is none."""
        data = self.store.point(point)
        if data is None:
            raise unknown("--point", "point", point, list(self.measured().ids)[-20:])
        return resolve(recipe_from_dict(data, point), self.names, point)

    def points(self, only: Collection[str], split: str = "explore") -> list[Point]:
        """Those of these points that are there, over the study's objectives as they are now."""
        known = self.known
        if known is None:
            return []
        return self.store.points(known.family, known.objectives, split, known.numerics, only)

    def tell_earlier(self, split: str = "explore") -> None:
        """Say on standard error which scores are as of an earlier definition, and left out."""
        known = self.known
        if known is None:
            return
        found = self.store.earlier(known.family, known.objectives, split, known.numerics)
        for name, points in found.items():
            sys.stderr.write(
                f"{name}: scores from an earlier definition, left out: {len(points)};"
                " evaluate those points again\n"
            )

    def open(self) -> Opened:
        """Have the engine open the study: how its scores are keyed now."""
        self.take_opened(self.run("open", {}))
        assert self.opened is not None
        return self.opened

    def run(self, kind: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """Submit a job, show its progress, wait for its result; an interrupt cancels it."""
        handle = self.submit(kind, kind, payload, "command").handle
        with cancelling(handle):
            for event in handle.events():
                if event.kind == "progress":
                    progress.job(event.data)
            result = handle.result()
        save_combinations(self)
        return result


@contextlib.contextmanager
def cancelling(handle: Handle) -> Iterator[None]:
    """Cancel the job when the block is interrupted."""
    try:
        yield
    except BaseException:
        handle.cancel()
        raise
