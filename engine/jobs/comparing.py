"""The job "compare": the same prompts through several recipes, their answers growing side by side.

    column 0   base                 step            step            step          …
    column 1   pcb   (weights)      compose, step   rewrite, turn   rewrite, turn …
    column 2   ties  (weights)      compose, step   rewrite, turn   rewrite, turn …

The columns write in turns, on one thread: each is a decode loop that rests after a step. Columns of
weight space share the one live module, whose weights are written again, bit for bit, before a
column goes on; so a column's texts are those of a job "generate" of its own. The first turn is one
step; from then on a turn lasts `TURN` times as long as the slowest rewriting, which keeps rewriting
under 1 / (1 + TURN) of the time, and without any rewriting every turn is one step.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from engine.compose import ComposedModel, Composer
from engine.decoding.inputs import Tick
from engine.decoding.loop import Generation, steps
from engine.errors import BadInput, Cancelled, ParetoscopeError, bad
from engine.jobs.evaluating import reason
from engine.jobs.generating import Request, Stream, request_of
from engine.jobs.models import Models, recipe_of, study_of
from engine.jobs.served import Emit
from engine.recipe import Recipe, find_method
from engine.scoring.stops import StopWatch, cut
from engine.worker.messages import is_out_of_memory

log = logging.getLogger(__name__)

TURN = 4.0

ColumnState = Literal["waiting", "writing", "done", "failed"]


def compare_texts(
    models: Models, payload: Mapping[str, Any], emit: Emit, tick: Tick
) -> Mapping[str, Any]:
    """Continue the same prompts with several recipes; text events are keyed by column × prompts +
    prompt.

    Args:
        payload: study, recipes (list of mappings), and what `generating.request_of` reads.

    Returns:
        columns: one a recipe, {"recipe": resolved, or as it was given where it is refused,
        "outputs": [{"prompt", "text", "token_ids", "ended": "end", "stop" or "length"}], "error":
        why the column failed or None}.

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


@dataclass(eq=False)
class _Column:
    """One recipe's progress through the prompts.

    Attributes:
        recipe: as its mapping.
        preparing: what is made for it before it can write, in words; empty where nothing is.
        rewriting: seconds that writing its weights again took in its last turn.
    """

    recipe: Mapping[str, Any]
    resolved: Recipe | None = None
    state: ColumnState = "waiting"
    error: Exception | None = None
    model: ComposedModel | None = None
    loop: Generator[None, None, list[Generation]] | None = None
    preparing: str = ""
    rewriting: float = 0.0
    generations: Sequence[Generation] = ()
    texts: list[str] = field(default_factory=list)

    def result(self, request: Request) -> dict[str, Any]:
        outputs = [
            {
                "prompt": prompt,
                "text": text,
                "token_ids": list(each.token_ids),
                "ended": each.ended,
            }
            for prompt, text, each in zip(
                request.prompts, self.texts, self.generations, strict=False
            )
        ]
        error = None if self.error is None else reason(self.error)
        return {"recipe": dict(self.recipe), "outputs": outputs, "error": error}


def _in_weight_space(column: _Column) -> bool:
    return column.resolved is not None and find_method(column.resolved.method).space == "weight"


class _Columns:
    """Columns that write in turns.

    Raises:
        BadInput: the prompts cannot be encoded.
    """

    def __init__(self, composer: Composer, request: Request, emit: Emit, tick: Tick) -> None:
        self.all: list[_Column] = []
        self._composer = composer
        self._request = request
        self._emit = emit
        self._tick = tick
        self._ids = request.encoded(composer.text)
        self._stream = Stream(emit, composer.text, request.stops)

    def add(self, recipe: Recipe) -> None:
        self.all.append(_Column(recipe.as_dict(), recipe))

    def refuse(self, recipe: Mapping[str, Any], error: BadInput) -> None:
        self.all.append(_Column(recipe, state="failed", error=error))

    def write(self) -> None:
        """Give turns until every column is done or failed."""
        self._say()
        # those without a basis to make go first, so that there is something to read at once
        order = sorted(self.all, key=_in_weight_space)
        while alive := [each for each in order if each.state in ("waiting", "writing")]:
            turn = TURN * max(each.rewriting for each in alive)
            for column in alive:
                before = column.state
                self._turn(column, turn)
                if column.state != before:
                    self._say()

    def _turn(self, column: _Column, seconds: float) -> None:
        """Let a column write for some time, one step at least."""
        try:
            loop = self._awake(column)
            end = time.perf_counter() + seconds
            while True:
                next(loop)
                if time.perf_counter() >= end:
                    return
        except StopIteration as done:
            self._finish(column, done.value)
        except Cancelled:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise
            if not isinstance(error, ParetoscopeError):
                log.error("%s could not answer", column.resolved, exc_info=error)
            column.state, column.error, column.loop = "failed", error, None

    def _awake(self, column: _Column) -> Generator[None, None, list[Generation]]:
        """The column's loop, its weights in place."""
        if column.loop is not None:
            start = time.perf_counter()
            self._composer.restore(column.model, self._tick)
            column.rewriting = time.perf_counter() - start
            return column.loop
        assert column.resolved is not None
        self._emit("loading")

        def prepare() -> None:
            self._tick()
            if (now := self._composer.preparing) != column.preparing:
                column.preparing = now
                self._say()

        column.model = self._composer.compose(column.resolved, prepare)
        column.state = "writing"
        request, text = self._request, self._composer.text
        column.loop = steps(
            column.model,
            self._ids,
            max_new_tokens=request.max_new_tokens,
            end_ids=text.end_ids,
            sampling=request.sampling,
            stopped=StopWatch(request.stops, text.decode) if request.stops else None,
            tick=self._tick,
            on_tokens=partial(self._take, self.all.index(column) * len(self._ids)),
        )
        return column.loop

    def _take(self, first: int, prompt: int, token: int) -> None:
        self._stream(first + prompt, token)

    def _finish(self, column: _Column, generations: Sequence[Generation]) -> None:
        first, decode = self.all.index(column) * len(self._ids), self._composer.text.decode
        column.generations = generations
        column.texts = [cut(decode(each.token_ids), self._request.stops) for each in generations]
        column.state, column.loop, column.model = "done", None, None
        texts = {str(first + index): text for index, text in enumerate(column.texts)}
        self._emit("text", {"texts": texts})

    def _say(self) -> None:
        """Report the progress of each column."""
        over = [each for each in self.all if each.state in ("done", "failed")]
        failed = {str(n): reason(each.error) for n, each in enumerate(self.all) if each.error}
        states = [each.preparing or each.state for each in self.all]
        self._emit(
            "progress",
            {"done": len(over), "total": len(self.all), "columns": states, "errors": failed},
        )
