"""The job "compare": the same prompts through several recipes, their answers growing side by side.

    column 0   base                 step            step            step          …
    column 1   pcb   (weights)      compose, step   rewrite, turn   rewrite, turn …
    column 2   ties  (weights)      compose, step   rewrite, turn   rewrite, turn …

The columns write in turns, on one thread: each is a decode loop that rests after a step. Columns of
weight space share the one live module, whose weights are written again, bit for bit, before a
column goes on; so a column's texts are those of a job "generate" of its own. The first turn is one
step; from then on a turn lasts `TURN` times as long as the slowest rewriting, which keeps rewriting
under 1 / (1 + TURN) of the time, and without any rewriting every turn is one step.

Columns that only add LoRA experts write together where they are few rows: one batch, each row with
the scales of its own column. What that saves is the weights' way through the processor, which many
rows share anyway: beyond `TOGETHER` rows each column is as fast by itself. Merging them instead
would round their weights.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from engine.compose import Composer
from engine.decoding.fusion import mixture_of
from engine.decoding.grid import branching, write_together
from engine.decoding.inputs import Tick
from engine.decoding.loop import Generation, Kept, steps
from engine.decoding.margin import CONTINUOUS
from engine.decoding.recording import anchors_of
from engine.errors import BadInput, Cancelled, ParetoscopeError, bad
from engine.jobs.columns import Column, Writer
from engine.jobs.evaluating import reason
from engine.jobs.generating import Request, Stream, request_of, strengths_of
from engine.jobs.models import Models, recipe_of, study_of
from engine.jobs.served import Emit
from engine.merging.adapters import runs_unmerged
from engine.merging.stacked import NotByRow
from engine.recipe import Recipe
from engine.scoring.stops import StopWatch, cut
from engine.worker.messages import is_out_of_memory

log = logging.getLogger(__name__)

TURN = 4.0

TOGETHER = 128
"""Rows of all columns up to which those that only add LoRA experts are one batch."""


def compare_texts(
    models: Models, payload: Mapping[str, Any], emit: Emit, tick: Tick
) -> Mapping[str, Any]:
    """Continue the same prompts with several recipes; text events are keyed by column × prompts +
    prompt.

    Args:
        payload: study, recipes (list of mappings), and what `generating.request_of` reads.

    Returns:
        columns: one a recipe, {"recipe": resolved, or as it was given where it is refused,
        "outputs": [{"prompt", "text", "token_ids", "ended": "end", "stop" or "length", "strengths"
        as `generating.generate_texts` has them}], "error": why the column failed or None}.

    Raises:
        BadInput: the study or a setting cannot be used, or no column can write.
    """
    study = study_of(payload)
    request = request_of(payload)
    recipes = payload.get("recipes")
    if not isinstance(recipes, Sequence) or isinstance(recipes, str) or not recipes:
        raise bad("job", "it contains no recipes", "Give a list of recipes.")
    with models.families.use(study.family, tick) as opened:
        composer = opened.composer
        columns = _Columns(composer, request, emit, tick)
        for place, data in enumerate(recipes):
            try:
                columns.add(recipe_of(data, opened, study, f"recipe {place + 1} of {len(recipes)}"))
            except BadInput as error:
                columns.refuse(data, error)
        columns.write()
        wrong = [each.error for each in columns.all if isinstance(each.error, BadInput)]
        if len(wrong) == len(recipes):
            raise BadInput(*dict.fromkeys(each for error in wrong for each in error.problems))
        return {"columns": [each.result(request) for each in columns.all]}


class Apart(Exception):
    """Columns that do not write together after all."""


class _Columns:
    """Columns that write in turns.

    Raises:
        BadInput: the prompts cannot be encoded.
    """

    def __init__(self, composer: Composer, request: Request, emit: Emit, tick: Tick) -> None:
        self.all: list[Column] = []
        self._composer = composer
        self._request = request
        self._emit = emit
        self._tick = tick
        self._ids = request.encoded(composer.text)
        self._stream = Stream(emit, composer.text, request.stops)
        self._writers: list[Writer] = []

    def add(self, recipe: Recipe) -> None:
        self.all.append(Column(recipe.as_dict(), recipe))

    def refuse(self, recipe: Mapping[str, Any], error: BadInput) -> None:
        self.all.append(Column(recipe, state="failed", error=error))

    def write(self) -> None:
        """Give turns until every column is done or failed."""
        self._say()
        # those without a basis to make go first, so that there is something to read at once
        self._writers = sorted(self._divided(), key=lambda each: each.in_weight_space)
        while alive := [each for each in self._writers if each.alive]:
            turn = TURN * max(each.rewriting for each in alive)
            for writer in alive:
                before = [each.state for each in writer.columns]
                self._turn(writer, turn)
                if [each.state for each in writer.columns] != before:
                    self._say()

    def _divided(self) -> Iterator[Writer]:
        """The columns that can write, together those that can and are few rows."""
        groups: dict[object, list[Column]] = {}
        for each in self.all:
            if each.resolved is not None:
                groups.setdefault(self._shared(each.resolved) or each, []).append(each)
        for several in groups.values():
            if len(several) * len(self._ids) <= TOGETHER:
                yield Writer(several)
            else:
                yield from (Writer([each]) for each in several)

    def _shared(self, recipe: Recipe) -> object:
        """Equal for recipes that may write together; None for one that may not."""
        family, mixture = self._composer.family, mixture_of(recipe, self._composer.family.names)
        if mixture is not None and mixture.kind in CONTINUOUS:
            return mixture.passes
        return "adapters" if runs_unmerged(recipe, family) else None

    def _separate(self, writer: Writer) -> None:
        """Let columns that cannot write together begin anew, each by itself."""
        log.info("%d columns write one after the other", len(writer.columns))
        place = self._writers.index(writer)
        self._writers[place : place + 1] = [Writer([each]) for each in writer.columns]
        for column in writer.columns:
            column.state = "waiting"
            first = self.all.index(column) * len(self._ids)
            self._stream.forget(range(first, first + len(self._ids)))

    def _turn(self, writer: Writer, seconds: float) -> None:
        """Let a writer write for some time, one step at least."""
        try:
            loop = self._awake(writer)
            end = time.perf_counter() + seconds
            while True:
                next(loop)
                if time.perf_counter() >= end:
                    return
        except StopIteration as done:
            self._finish(writer, done.value)
        except Cancelled:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise
            if len(writer.columns) > 1:  # each says for itself what is wrong with it, if anything
                if not isinstance(error, Apart | NotByRow | ParetoscopeError):
                    log.error("columns could not write together", exc_info=error)
                self._separate(writer)
                return
            [column] = writer.columns
            if not isinstance(error, ParetoscopeError):
                log.error("%s could not answer", column.resolved, exc_info=error)
            column.state, column.error, writer.loop = "failed", error, None

    def _awake(self, writer: Writer) -> Generator[None, None, list[Generation]]:
        """The writer's loop, its weights in place."""
        if writer.loop is not None:
            start = time.perf_counter()
            self._composer.restore(writer.model, self._tick)
            writer.rewriting = time.perf_counter() - start
            return writer.loop
        self._emit("loading")

        def prepare() -> None:
            self._tick()
            now = self._composer.preparing
            if any(each.preparing != now for each in writer.columns):
                for each in writer.columns:
                    each.preparing = now
                self._say()

        count = len(writer.columns)
        if count > 1 and not writer.in_weight_space:
            writer.loop = self._fused(writer, prepare)
            return writer.loop
        if count > 1:
            writer.model = self._composer.compose_rows(writer.recipes, prepare)
        else:
            writer.model = self._composer.compose(writer.recipes[0], prepare)
        for column in writer.columns:
            column.state = "writing"
        request, text = self._request, self._composer.text
        ids, own = request.read_by(writer.model)
        writer.loop = steps(
            writer.model,
            ids * count,
            max_new_tokens=request.max_new_tokens,
            end_ids=text.end_ids,
            sampling=request.sampling,
            stopped=StopWatch(request.stops, text.decode) if request.stops else None,
            tick=self._tick,
            on_tokens=partial(self._take, writer),
            owners=[n for n in range(count) for _ in ids] if count > 1 else None,
            own={place: each * count for place, each in own.items()},
            kept=Kept(self._composer.prefixes, exact=False),
        )
        return writer.loop

    def _fused(self, writer: Writer, prepare: Tick) -> Generator[None, None, list[Generation]]:
        """The loop of several columns that mix the same models."""
        models = [self._composer.compose(each, prepare) for each in writer.recipes]
        writer.model, prefixes = models[0], self._composer.prefixes
        request, text = self._request, self._composer.text
        ids, own = request.read_by(writer.model)
        answered = any(prefixes.at(each) for each in anchors_of(writer.model, ids, own))
        if answered or not branching(writer.model):
            raise Apart("they begin with what was said before, or a model's rows cannot part")
        for column in writer.columns:
            column.state = "writing"
        return write_together(
            prefixes,
            writer.model,
            [each.mixture for each in models if each.mixture is not None],
            ids,
            max_new_tokens=request.max_new_tokens,
            end_ids=text.end_ids,
            sampling=request.sampling,
            stopped=StopWatch(request.stops, text.decode) if request.stops else None,
            tick=self._tick,
            on_tokens=partial(self._take, writer),
            own=own,
        )

    def _take(self, writer: Writer, row: int, token: int) -> None:
        column, prompt = divmod(row, len(self._ids))
        first = self.all.index(writer.columns[column]) * len(self._ids)
        self._stream(first + prompt, token)

    def _finish(self, writer: Writer, generations: Sequence[Generation]) -> None:
        decode, count, stops = self._composer.text.decode, len(self._ids), self._request.stops
        for place, column in enumerate(writer.columns):
            first = self.all.index(column) * count
            column.generations = generations[place * count : (place + 1) * count]
            column.texts = [cut(decode(each.token_ids), stops) for each in column.generations]
            if writer.model is not None:
                column.strengths = [strengths_of(writer.model, e) for e in column.generations]
            column.state = "done"
            texts = {str(first + index): text for index, text in enumerate(column.texts)}
            self._emit("text", {"texts": texts})
        writer.loop, writer.model = None, None

    def _say(self) -> None:
        """Report the progress of each column."""
        over = [each for each in self.all if each.state in ("done", "failed")]
        failed = {str(n): reason(each.error) for n, each in enumerate(self.all) if each.error}
        states = [each.preparing or each.state for each in self.all]
        self._emit(
            "progress",
            {"done": len(over), "total": len(self.all), "columns": states, "errors": failed},
        )
