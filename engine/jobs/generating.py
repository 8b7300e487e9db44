"""The job "generate": prompts through one composed model, texts streamed as they grow."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.composed import ComposedModel
from engine.decoding.inputs import Tick
from engine.decoding.loop import Generation, Kept, generate
from engine.decoding.sampling import Sampling
from engine.errors import bad
from engine.family.text import Text
from engine.jobs.models import Models, recipe_of, study_of
from engine.jobs.preparing import telling
from engine.jobs.served import Emit
from engine.recipe import FrozenDict
from engine.scoring.stops import StopWatch, cut
from engine.study_file import variables_of
from engine.worker.outbox import TEXT_SECONDS


class Stream:
    """Emits the texts so far, at most once every 30 ms; decodes only then, and only new tokens."""

    def __init__(self, emit: Emit, text: Text, stops: Sequence[str]) -> None:
        self._emit = emit
        self._text = text
        self._stops = stops
        self._ids: dict[int, list[int]] = {}
        self._grown: set[int] = set()
        self._next = 0.0

    def __call__(self, index: int, token: int) -> None:
        self._ids.setdefault(index, []).append(token)
        self._grown.add(index)
        now = time.monotonic()
        if now >= self._next:
            self._next = now + TEXT_SECONDS
            texts = {
                str(each): cut(self._text.decode(self._ids[each]), self._stops)
                for each in sorted(self._grown)
            }
            self._grown.clear()
            self._emit("text", {"texts": texts})

    def forget(self, indices: Iterable[int]) -> None:
        """Begin these texts anew."""
        for each in indices:
            self._ids.pop(each, None)
            self._grown.discard(each)


Prompt = str | tuple[Mapping[str, str], ...]
"""A text, or the messages of a conversation."""


@dataclass(frozen=True)
class Request:
    """What is asked of a model, or of several.

    Attributes:
        chat: a prompt that is a text goes through the chat template, as one user message.
        stops: texts that end an answer and are cut from it.
        variables: what the chat template may look at beside the messages.
    """

    prompts: tuple[Prompt, ...]
    chat: bool
    max_new_tokens: int
    sampling: Sampling
    stops: tuple[str, ...]
    variables: Mapping[str, Any] = field(default_factory=FrozenDict)

    def encoded(self, text: Text) -> list[list[int]]:
        """Token ids of the prompts; raises `BadInput` if there is no chat template."""
        return [
            text.encode(each, self.chat, self.variables)
            if isinstance(each, str)
            else text.encode_messages(each, self.variables)
            for each in self.prompts
        ]

    def read_by(self, model: ComposedModel) -> tuple[list[list[int]], dict[int, list[list[int]]]]:
        """Token ids of the prompts, and what modules read instead; raises as `encoded`."""
        own = {place: self.encoded(text) for place, text in model.own.items()}
        return self.encoded(model.text), own


def request_of(payload: Mapping[str, Any]) -> Request:
    """The request that a payload holds.

    Args:
        payload: prompts (texts, or lists of messages), and optionally chat (False),
            max_new_tokens (64), temperature (0: greedy), top_p (1), top_k (0), seed (0), stop ([]),
            template_kwargs ({}).

    Raises:
        BadInput: no prompt, or a setting that cannot be used.
    """
    prompts = _listed(payload, "prompts")
    for each in prompts:
        if not isinstance(each, str) and not _are_messages(each):
            raise bad("prompts", f"expected strings or lists of messages, got {each!r}")
    stops = _listed(payload, "stop")
    if not prompts:
        raise bad("prompts", "no prompt was given", "Give at least one.")
    if not all(isinstance(each, str) for each in stops):
        raise bad("stop", f"expected a list of strings, got {stops!r}")
    if not all(stops):
        raise bad("stop", "an empty string would stop everything", "Give a text.")
    try:
        sampling = Sampling(
            float(payload.get("temperature") or 0.0),
            float(payload.get("top_p", 1.0)),
            int(payload.get("top_k", 0)),
            int(payload.get("seed", 0)),
        )
    except (TypeError, ValueError) as error:
        raise bad("sampling", str(error), "Give numbers in these ranges.") from None
    return Request(
        tuple(each if isinstance(each, str) else tuple(each) for each in prompts),
        bool(payload.get("chat", False)),
        int(payload.get("max_new_tokens", 64)),
        sampling,
        tuple(stops),
        variables_of(payload.get("template_kwargs") or {}, "template_kwargs"),
    )


def generate_texts(
    models: Models, payload: Mapping[str, Any], emit: Emit, tick: Tick
) -> Mapping[str, Any]:
    """Continue prompts with a recipe.

    Args:
        payload: study, recipe, and what `request_of` reads.

    Returns:
        recipe: resolved; outputs: {"prompt", "text", "token_ids"} in the order of the prompts; the
        end token is not in token_ids. Where a method chooses strengths token by token, "strengths"
        too: expert, or "strength" of all -> one a token.

    Raises:
        BadInput: the study, the recipe or a setting cannot be used.
    """
    study = study_of(payload)
    request = request_of(payload)
    with models.families.use(study.family, tick) as opened:
        recipe = recipe_of(payload.get("recipe"), opened, study)
        model = opened.composer.compose(recipe, telling(opened.composer, emit, tick))
        text, stops = model.text, request.stops
        prompts, own = request.read_by(model)
        generations = generate(
            model,
            prompts,
            max_new_tokens=request.max_new_tokens,
            end_ids=text.end_ids,
            sampling=request.sampling,
            stopped=StopWatch(stops, text.decode) if stops else None,
            tick=tick,
            on_tokens=Stream(emit, text, stops),
            own=own,
            kept=Kept(opened.composer.prefixes, exact=False),
        )
        texts = [cut(text.decode(each.token_ids), stops) for each in generations]
        emit("text", {"texts": {str(index): each for index, each in enumerate(texts)}})
        outputs = [
            {"prompt": prompt, "text": said, "token_ids": list(each.token_ids)}
            | strengths_of(model, each)
            for prompt, said, each in zip(request.prompts, texts, generations, strict=True)
        ]
        return {"recipe": recipe.as_dict(), "outputs": outputs}


def strengths_of(model: ComposedModel, generation: Generation) -> dict[str, Any]:
    """The strengths that a text's tokens were chosen with, where a method chooses them."""
    names = () if model.mixture is None else model.mixture.chosen
    if not names:
        return {}
    kept = generation.strengths[: len(generation.token_ids)]
    columns = {name: [each[n] for each in kept] for n, name in enumerate(names)}
    return {"strengths": columns}


def _listed(payload: Mapping[str, Any], name: str) -> list[Any]:
    found = payload.get(name) or []
    if isinstance(found, str):
        found = [found]
    if not isinstance(found, list | tuple):
        raise bad(name, f"expected a list of strings, got {found!r}")
    return list(found)


def _are_messages(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(each, Mapping)
        and isinstance(each.get("role"), str)
        and isinstance(each.get("content"), str)
        for each in value
    )
