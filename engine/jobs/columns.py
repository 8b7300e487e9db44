"""What a comparison writes: columns, and who writes them."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.composed import ComposedModel
from engine.decoding.loop import Generation
from engine.jobs.evaluating import reason
from engine.jobs.generating import Request
from engine.recipe import Recipe, find_method

ColumnState = Literal["waiting", "writing", "done", "failed"]


@dataclass(eq=False)
class Column:
    """One recipe's answers to the prompts.

    Attributes:
        recipe: as its mapping.
        preparing: what is made for it before it can write, in words; empty where nothing is.
    """

    recipe: Mapping[str, Any]
    resolved: Recipe | None = None
    state: ColumnState = "waiting"
    error: Exception | None = None
    preparing: str = ""
    generations: Sequence[Generation] = ()
    strengths: Sequence[Mapping[str, Any]] = ()
    texts: list[str] = field(default_factory=list)

    def result(self, request: Request) -> dict[str, Any]:
        outputs = [
            {
                "prompt": prompt,
                "text": text,
                "token_ids": list(each.token_ids),
                "ended": each.ended,
                **steered,
            }
            for prompt, text, each, steered in zip(
                request.prompts, self.texts, self.generations, self.strengths, strict=False
            )
        ]
        error = None if self.error is None else reason(self.error)
        return {"recipe": dict(self.recipe), "outputs": outputs, "error": error}


@dataclass(eq=False)
class Writer:
    """One column that writes, or several together.

    Attributes:
        model: what it runs; the first column's where several are fused.
        rewriting: seconds that writing its weights again took in its last turn.
    """

    columns: list[Column]
    model: ComposedModel | None = None
    loop: Generator[None, None, list[Generation]] | None = None
    rewriting: float = 0.0

    @property
    def recipes(self) -> list[Recipe]:
        return [each.resolved for each in self.columns if each.resolved is not None]

    @property
    def alive(self) -> bool:
        return any(each.state in ("waiting", "writing") for each in self.columns)

    @property
    def in_weight_space(self) -> bool:
        return any(find_method(each.method).space == "weight" for each in self.recipes)
