"""The point that is served: its name, its model, and how a request becomes rows of ids for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.composed import ComposedModel
from engine.decoding.inputs import Tick, check_ids
from engine.errors import BadInput
from engine.family.text import Text
from engine.jobs.models import Models, recipe_of
from engine.recipe import Recipe, point_id
from engine.serving.asking import Ask
from engine.serving.refused import Refused
from engine.study import Study

UNSTATED = 1024
"""New tokens at most of a chat that names no limit."""


@dataclass(frozen=True)
class Rows:
    """What the decode loop is given.

    Attributes:
        ids: a row each; the answers to a prompt stand together.
        limit: new tokens a row.
        prompt_tokens: of each prompt once.
    """

    ids: list[list[int]]
    limit: int
    prompt_tokens: int


@dataclass(frozen=True)
class Served:
    """One point.

    Attributes:
        name: the point's id, which is the model's name in the protocol.
        text: a tokenizer for prompts alone: the model's own is busy on its thread.
        numerics: device kind, compute dtype and version: seeded answers repeat while it is equal.
        created: seconds since 1970.
    """

    name: str
    model: ComposedModel
    text: Text
    numerics: str
    created: int

    @property
    def window(self) -> int | None:
        """Positions of the model that has the fewest; None: no limit."""
        limits = [
            getattr(each.config.get_text_config(), "max_position_embeddings", None)
            for each in self.model.modules
        ]
        return min((each for each in limits if each), default=None)

    def rows(self, ask: Ask) -> Rows:
        """The rows of a request, on the one thread that encodes.

        Raises:
            Refused: another model, no chat template, messages that the template refuses, or what is
                too long.
        """
        prompts = self._encoded(ask)
        longest = max(map(len, prompts))
        limit = ask.limit
        if limit is None:
            limit = UNSTATED if self.window is None else min(UNSTATED, self.window - longest)
        if self.window is not None and longest + max(1, limit) > self.window:
            asked = "" if ask.limit is None else f", and {ask.limit_name} is {limit}"
            raise Refused(
                400,
                f"this model's maximum context length is {self.window} tokens; the prompt has "
                f"{longest}{asked}",
                param="messages" if ask.chat else "prompt",
                code="context_length_exceeded",
            )
        ids = [list(each) for each in prompts for _ in range(ask.n)]
        try:
            check_ids(self.model, ids, [limit] * len(ids), "new ones")
        except BadInput as error:
            raise _of(error, "messages" if ask.chat else "prompt") from None
        return Rows(ids, limit, sum(map(len, prompts)))

    def _encoded(self, ask: Ask) -> list[list[int]]:
        """Ids of each prompt."""
        if not ask.chat:
            return [self.text.encode(p) if isinstance(p, str) else [*p] for p in ask.prompts]
        if not self.text.has_chat_template:
            raise Refused(
                400,
                "this family's tokenizer has no chat template; use /v1/completions",
                param="messages",
                code="no_chat_template",
            )
        try:
            return [self.text.encode_messages(ask.messages, ask.variables)]
        except BadInput as error:
            raise _of(error, "messages") from None


def _of(error: BadInput, param: str) -> Refused:
    """Bad input as the protocol says it; where a file lies is nobody's business."""
    problem = error.problems[0]
    return Refused(400, f"{problem.what}. {problem.fix}".strip(), param=param, code="invalid_value")


class Opening:
    """Opens a point, on the thread that will run it.

    Args:
        told: takes what is being prepared, in words.

    Attributes:
        served: the point, once the opening was called.
    """

    def __init__(
        self,
        study: Study,
        recipe: Recipe,
        workspace: Path,
        device: str,
        compute_dtype: str | None,
        told: Callable[[str], None],
    ) -> None:
        self._study, self._recipe = study, recipe
        self._where = workspace, device, compute_dtype
        self._told = told
        self.served: Served | None = None

    def __call__(self, tick: Tick) -> ComposedModel:
        """The composed model; what made it is let go.

        Args:
            tick: called at every tensor; may raise `Cancelled`.

        Raises:
            BadInput: the family or the recipe cannot be run.
        """
        models = Models(*self._where)
        try:
            with models.families.use(self._study.family, tick) as opened:
                composer = opened.composer

                def telling() -> None:
                    tick()
                    if composer.preparing:
                        self._told(composer.preparing)

                recipe = recipe_of(self._recipe, opened, self._study)
                model = composer.compose(recipe, telling)
                name = point_id(recipe, opened.fingerprint)
                text, numerics = Text(opened.family), str(composer.numerics)
                self.served = Served(name, model, text, numerics, int(time.time()))
                return model
        finally:
            models.close()
