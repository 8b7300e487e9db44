"""Rows to token ids, each text once for all points of a family.

    … is the colour of the sky?␣|It is blue      one text, encoded as one
    … ▁of ▁the ▁sky ?          |▁It ▁is ▁blue    split by offsets: | stands where the prompt ends

With chat, or for messages, the prompt goes through the chat template up to where the assistant
speaks, and a target ends with the end token. Otherwise it is fed as it is, behind the tokenizer's
opening tokens, and a delimiter may stand between it and what follows. The boundary stands behind
the last character of the prompt that is no whitespace, and a token across it belongs to what
follows: that is what lm-eval 0.4.13 scores (`TemplateLM._encode_pair`), the newline behind
ChatML's `assistant` included. As there, what is scored stands behind the opening tokens under a
template too, unless it writes them itself; where the prompt is empty, behind these alone, else
BOS, else the end token.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from engine.errors import BadInput
from engine.scoring.data import Row
from engine.scoring.registry import find_scorer
from engine.study import Objective

Ids = tuple[int, ...]

Halves = tuple[Ids, Ids]
"""Ids that the model reads first, and ids after them that are scored."""

KEPT = 1 << 16
"""Texts whose ids are remembered for the next point."""


class TextCodec(Protocol):
    """What is needed of `engine.family.text.Text`."""

    @property
    def end_ids(self) -> frozenset[int]: ...
    @property
    def end_token(self) -> int: ...
    @property
    def before_all(self) -> int | None: ...
    def prefixed(self, prompt: str) -> str: ...
    def opened(self, ids: Sequence[int]) -> list[int]: ...
    def encode(self, prompt: str, chat: bool) -> list[int]: ...
    def render_all(
        self, chats: Sequence[Sequence[Mapping[str, Any]]], variables: Mapping[str, Any]
    ) -> list[str | BadInput]: ...
    def continuation(self, text: str) -> list[int]: ...
    def split(self, text: str, boundary: int) -> tuple[list[int], int]: ...
    def decode(self, ids: Sequence[int], marker: str = "") -> str: ...


def templated(row: Row, objective: Objective) -> bool:
    """Whether the chat template writes this row's prompt."""
    return objective.chat or row.messages is not None


def delimiter(row: Row, objective: Objective, follows: str) -> str:
    """What stands between a prompt and what follows.

    An objective's own `delimiter` is taken as it is. Under chat there is none by default, before a
    choice it is a space. Before a target it is a space where neither side has whitespace there.
    """
    given = objective.options.get("delimiter")
    if given is not None:
        return str(given)
    if templated(row, objective):
        return ""
    if find_scorer(objective.scorer).kind == "choice":
        return " "
    prompt = row.prompt or ""
    apart = not prompt or prompt[-1].isspace() or follows[:1].isspace()
    return "" if apart else " "


class Encoder:
    """Token ids of rows, each text encoded once for all points of a family."""

    def __init__(self, text: TextCodec) -> None:
        # weak: the table of encoders must not keep a closed family's tokenizer alive
        self._text = weakref.ref(text)
        self._known: dict[tuple[Any, ...], Any] = {}

    @property
    def text(self) -> TextCodec:
        text = self._text()
        if text is None:
            raise ReferenceError("the family of this encoder is closed")
        return text

    def _remember(self, key: tuple[Any, ...], found: Any) -> Any:
        if len(self._known) >= KEPT:
            self._known.clear()
        return self._known.setdefault(key, found)

    def _rendered(self, row: Row, objective: Objective) -> str:
        """The text of a prompt, through the template where one writes it."""
        if not templated(row, objective):
            return self.text.prefixed(row.prompt or "")
        key = ("text", *self._key(row, objective))
        found = self._known.get(key)
        if found is None:
            self.render([row], objective)
            found = self._known[key]
        if isinstance(found, BadInput):
            raise found
        return str(found)

    def render(self, rows: Sequence[Row], objective: Objective) -> None:
        """Render the templated prompts of these rows in one batch, which is cheap."""
        keyed = {
            ("text", *self._key(row, objective)): row for row in rows if templated(row, objective)
        }
        new = {key: row for key, row in keyed.items() if key not in self._known}
        chats = [
            row.messages or ({"role": "user", "content": row.prompt or ""},) for row in new.values()
        ]
        found = self.text.render_all(chats, objective.template_kwargs) if chats else []
        for key, text in zip(new, found, strict=True):
            self._remember(key, text)

    def _key(self, row: Row, objective: Objective) -> tuple[Any, ...]:
        kind = row.messages is None, objective.chat
        return (
            row.exact or row.key,
            *kind,
            objective.template_kwargs if templated(row, objective) else None,
        )

    def prompt(self, row: Row, objective: Objective) -> Ids:
        """What the model reads before it answers."""
        key = self._key(row, objective)
        found = self._known.get(key)
        if found is None:
            ids = self.text.continuation(self._rendered(row, objective))
            ids = ids if templated(row, objective) else self.text.opened(ids)
            found = self._remember(key, tuple(ids))
        return found

    def end(self, row: Row, objective: Objective) -> str:
        """The whitespace that a prompt ends with."""
        prompt = self._rendered(row, objective)
        return prompt[len(prompt.rstrip()) :]

    def before(self, row: Row, objective: Objective, space: int) -> Ids:
        """A prompt without as many characters at its end, for a model that reads another prompt
        than the one whose end is scored.

        Where nothing is left it is what stands before a text that nothing opens.
        """
        key = ("before", space, *self._key(row, objective))
        found = self._known.get(key)
        if found is None:
            prompt = self._rendered(row, objective)
            ids = self.text.opened(self.text.continuation(prompt[: len(prompt) - space]))
            if not ids and self.text.before_all is not None:
                ids = [self.text.before_all]
            found = self._remember(key, tuple(ids))
        return found

    def pair(
        self, row: Row, objective: Objective, follows: str, space: int | None = None
    ) -> Halves:
        """A prompt and what follows it.

        Args:
            space: characters of the prompt's end that go with what follows; None: all whitespace.
        """
        between = delimiter(row, objective, follows)
        key = (*self._key(row, objective), between, follows, space)
        found = self._known.get(key)
        if found is None:
            prompt = self._rendered(row, objective)
            before = len(prompt.rstrip()) if space is None else len(prompt) - space
            found = self._remember(key, self._split(prompt, f"{between}{follows}", before))
        return found

    def _split(self, prompt: str, follows: str, before: int) -> Halves:
        ids, place = self.text.split(prompt + follows, before)
        missing = len(self.text.opened(ids)) - len(ids)
        # an opening that the text itself begins with stands before what is scored
        place += missing or max(0, len(self.text.opened([])) - place)
        ids = self.text.opened(ids)
        if not place and self.text.before_all is not None:
            place = 1
            ids = ids if ids[:1] == [self.text.before_all] else [self.text.before_all, *ids]
        return tuple(ids[:place]), tuple(ids[place:])

    def target(self, row: Row, objective: Objective, space: int | None = None) -> Halves:
        """The first target behind its prompt, the end token last where a template wrote that."""
        prompt, ids = self.pair(row, objective, row.targets[0], space)
        if templated(row, objective) and ids[-1:] != (self.text.end_token,):
            ids = (*ids, self.text.end_token)
        return prompt, ids

    def choices(
        self, row: Row, objective: Objective, space: int | None = None
    ) -> tuple[Halves, ...]:
        """Each choice behind the prompt."""
        return tuple(self.pair(row, objective, choice, space) for choice in row.choices)

    def unconditional(self, row: Row, objective: Objective) -> tuple[Halves, ...]:
        """The choices with their delimiter and no prompt, as in lm-eval's acc_mutual_info."""
        texts = [delimiter(row, objective, choice) + choice for choice in row.choices]
        keys = [("alone", text) for text in texts]
        return tuple(
            self._known.get(key) or self._remember(key, self._split("", text, 0))
            for key, text in zip(keys, texts, strict=True)
        )


_ENCODERS: weakref.WeakKeyDictionary[TextCodec, Encoder] = weakref.WeakKeyDictionary()


def encoder(text: TextCodec) -> Encoder:
    """The encoder of a family's text, the same at every call."""
    found = _ENCODERS.get(text)
    if found is None:
        found = _ENCODERS[text] = Encoder(text)
    return found
