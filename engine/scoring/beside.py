"""What is measured beside the model itself: another model of the family, or this one moved.

kl        texts of the model ──► read by both ──► KL(model ‖ other) at each token
tamper    (1 − ε) θ + ε θ_expert ──► its answers; θ is written back
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from engine.decoding.divergence import kl_to
from engine.decoding.inputs import Bucket, Tick, rows_of
from engine.decoding.soundness import check_every, check_sound
from engine.errors import ParetoscopeError
from engine.scoring.exported import stored_tensors
from engine.scoring.fed_texts import fed, spoken
from engine.scoring.observed import Generated, Observed
from engine.scoring.own_words import prompts_of
from engine.scoring.plan import Scored, Task

NO_FAMILY = "it is scored outside a family, whose other models this needs"


class Unmoved(ParetoscopeError):
    """A model whose weights cannot be moved, or that has no others beside it; why."""


class Others(Protocol):
    """Models beside the one that is scored."""

    @property
    def base_parameters(self) -> int:
        """Parameters of the base."""

    def model(self, name: str) -> Scored:
        """A model of the family as it is; raises `BadInput` with near matches."""

    def moved(self, expert: str, step: float) -> AbstractContextManager[Scored]:
        """The model that is scored, its weights moved by `step` towards an expert's; they are
        written back at the end of the block. Raises `Unmoved` with the reason."""


def beside(others: Others | None) -> Others:
    """The others; raises `Unmoved` where there are none."""
    if others is None:
        raise Unmoved(NO_FAMILY)
    return others


def observed_size(model: Scored, others: Others | None) -> Observed:
    """What an export of the model would hold."""
    return Observed([stored_tensors(model, beside(others).base_parameters)])


class Reading(Protocol):
    """What a divergence needs of a run."""

    @property
    def model(self) -> Scored: ...
    @property
    def base(self) -> Callable[[], Scored]: ...
    @property
    def others(self) -> Others | None: ...
    @property
    def bucket(self) -> Bucket: ...
    @property
    def tick(self) -> Tick: ...
    def generate(self, task: Task) -> Generated: ...
    def teacher_forced(
        self,
        prompts: Sequence[Any],
        texts: Sequence[Sequence[int]],
        measure: Callable[[list[Any], list[Any], list[int]], list[Any]],
        read: Sequence[Sequence[Sequence[int]]],
    ) -> list[list[float]]: ...


def observed_divergence(run: Reading, task: Task) -> Observed:
    """KL(model ‖ other) at each token of what the model writes, a list of floats a row; the other
    is the base, or the model that the scorer's options name."""
    name = task.objective.options.get("model", "base")
    other = run.base() if name == "base" else beside(run.others).model(name)
    found, near = run.generate(task), check_sound(other, task.first_texts(), run.tick)
    texts = spoken(found.generations, other)
    others = prompts_of(run.model.text, other.text, task.rows, task.objective)

    def measure(prompts: list[Any], texts: list[Any], rows: list[int]) -> list[Any]:
        return kl_to(
            run.model, other, prompts, texts, bucket=run.bucket, tick=run.tick,
            own=rows_of(task.own, rows), others=rows_of(others, rows),
        )  # fmt: skip

    read = (task.prompts, *task.own.values(), *others.values())
    seen = run.teacher_forced(task.prompts, texts, measure, read)
    if near:
        every: Iterable[Any] = zip(others.get(0, task.prompts), texts, strict=True)
        check_every(other, fed(every), run.tick)
    return Observed(seen, found.tokens, generated=found)
