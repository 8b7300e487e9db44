"""The point that is served: its name, its model, and how a request becomes rows of ids for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.composed import ComposedModel
from engine.decoding.inputs import Own, Prompts, Tick, check_ids
from engine.errors import BadInput
from engine.family.text import Text
from engine.jobs.models import Models, recipe_of
from engine.recipe import Recipe, point_id
from engine.serving.asking import Ask
from engine.serving.refused import Refused, wrong
from engine.study import Study

UNSTATED = 1024
"""New tokens at most of a chat that names no limit."""


@dataclass(frozen=True)
class Rows:
    """What the decode loop is given.

    Attributes:
        ids: a row each; the answers to a prompt stand together.
        own: what modules read instead.
        limit: new tokens a row.
        prompt_tokens: of each prompt once.
    """

    ids: Prompts
    own: Own
    limit: int
    prompt_tokens: int


@dataclass(frozen=True)
class Served:
    """One point.

    Attributes:
        name: the point's id, which is the model's name in the protocol.
        text: a tokenizer for prompts alone: the model's own is busy on its thread.
        own: place of a module -> the same with the words that it reads instead.
        numerics: device kind, compute dtype and version: seeded answers repeat while it is equal.
        created: seconds since 1970.
    """

    name: str
    model: ComposedModel
    text: Text
    own: Mapping[int, Text]
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
        read = [self._encoded(ask, each) for each in (self.text, *self.own.values())]
        longest = max(len(ids) for prompts in read for ids in prompts)
        param = "messages" if ask.chat else "prompt"
        limit = ask.limit
        if limit is None:
            limit = UNSTATED if self.window is None else min(UNSTATED, self.window - longest)
        if self.window is not None and longest + max(1, limit) > self.window:
            asked = "" if ask.limit is None else f", and {ask.limit_name} is {limit}"
            raise Refused(
                400,
                f"this model's maximum context length is {self.window} tokens; the prompt has "
                f"{longest}{asked}",
                param=param,
                code="context_length_exceeded",
            )
        ids, *others = [[each for each in said for _ in range(ask.n)] for said in read]
        own = dict(zip(self.own, others, strict=True))
        try:
            check_ids(self.model, ids, [limit] * len(ids), "new ones", own)
        except BadInput as error:
            raise _of(error, param) from None
        return Rows(ids, own, limit, sum(map(len, read[0])))

    def _encoded(self, ask: Ask, text: Text) -> list[list[int]]:
        """Ids of each prompt in the words of a text; ids that were given stay as they are."""
        if not ask.chat:
            if self.own and not all(isinstance(each, str) for each in ask.prompts):
                what = "token ids cannot be put into the words that each model reads; give a text"
                raise wrong("prompt", what)
            return [text.encode(each) if isinstance(each, str) else [*each] for each in ask.prompts]
        if not text.has_chat_template:
            raise Refused(
                400,
                "this family's tokenizer has no chat template; use /v1/completions",
                param="messages",
                code="no_chat_template",
            )
        try:
            return [text.encode_messages(ask.messages, ask.variables)]
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
                numerics, now = str(composer.numerics), int(time.time())
                plain = Text(opened.family)
                text = plain.worded(model.text.words)
                own = {place: plain.worded(each.words) for place, each in model.own.items()}
                self.served = Served(name, model, text, own, numerics, now)
                return model
        finally:
            models.close()
