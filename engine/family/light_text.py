"""A family's tokenizer and chat template without transformers and torch, for what is checked before
anything heavy: does the template take these messages, how many tokens does a text have.

Ids come from tokenizer.json through `tokenizers`, as in transformers. What is evaluated is encoded
by `engine.family.text`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from engine.errors import BadInput, Problem, first_line, is_panic
from engine.family.compatibility import Family
from engine.family.dated import pinned
from engine.family.templates import NoUse, rendered
from engine.family.words import FAMILY, Words
from engine.json_reading import read_object

_PROBE = "a"
_NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token",
          "mask_token")  # fmt: skip
_WINDOWS = ("max_position_embeddings", "n_positions")


class LightText:
    """What `engine.family.text.Text` would say of texts, where that needs no more than files.

    Attributes:
        window: positions of the family's shortest model; None if no configuration says it.
        words: what is put around prompts: the family's, or a model's own.
        others: the same tokenizer with the words of each model that has its own.
    """

    words: Words = FAMILY

    def __init__(self, family: Family) -> None:
        if family.tokenizer is None:
            raise ValueError("the family has no tokenizer")
        self.files = family.tokenizer
        self._refused: Problem | None = None
        self.where = f"tokenizer of {family.spec.tokenizer} ({self.files.path})"
        found = [
            value
            for model in family.models.values()
            for key in _WINDOWS
            if isinstance(value := model.setting(key), int) and not isinstance(value, bool)
        ]
        self.window: int | None = min((each for each in found if each > 0), default=None)
        self.others: tuple[LightText, ...] = tuple(map(self._worded, family.words.values()))

    def _worded(self, words: Words) -> LightText:
        other = copy.copy(self)
        other.words, other.others = words, ()
        if words.template is not None:
            other.where = f"template of {words.model} ({words.file})"
        return other

    @property
    def whose(self) -> str:
        """In front of what is said of a model's own words."""
        return f"{self.words.model}: " if self.words.model else ""

    @property
    def template(self) -> str | None:
        """The chat template that renders; None if there is none."""
        own = self.words.template
        return self.files.chat_template if own is None else own

    @cached_property
    def named(self) -> dict[str, str]:
        """Special tokens by their names, bos_token and so on."""
        found: dict[str, str] = {}
        for name in ("special_tokens_map.json", "tokenizer_config.json"):
            file = self.files.path / name
            for key, value in (read_object(file) if file.is_file() else {}).items():
                text = value.get("content") if isinstance(value, dict) else value
                if key in _NAMED and isinstance(text, str):
                    found[key] = text
        return found

    @property
    def problems(self) -> list[Problem]:
        """What is wrong with tokenizer and template, whatever the data."""
        found = [self._unopened, self.problem, *(each.problem for each in self.others)]
        return [each for each in found if each is not None]

    @property
    def _unopened(self) -> Problem | None:
        """Why `tokenizers` cannot open tokenizer.json; None if it can or there is none."""
        _ = self._tokenizer
        return self._refused

    @cached_property
    def problem(self) -> Problem | None:
        """Why the chat template is no use at all: it does not parse, or no limit holds it; None
        if it is, and if there is none."""
        if self.template is None:
            return None
        try:
            self.render([{"role": "user", "content": _PROBE}], {})
        except NoUse as error:
            return error.problems[0]
        except BadInput:
            return None  # it refuses this conversation; those of the data are tried
        return None

    def render(self, messages: Sequence[Mapping[str, Any]], variables: Mapping[str, Any]) -> str:
        """The text of a conversation up to where the assistant speaks.

        Raises:
            BadInput: the template does not parse, reaches a limit or refuses the messages.
        """
        [found] = self.render_all([messages], variables)
        if isinstance(found, BadInput):
            raise found
        return found

    def render_all(
        self, chats: Sequence[Sequence[Mapping[str, Any]]], variables: Mapping[str, Any]
    ) -> list[str | BadInput]:
        """The text of each conversation, or why it has none."""
        words = self.words
        said = [words.spoken(messages) for messages in chats]
        template, file = pinned(self.template or ""), words.template and words.file
        given = {**self.named, **variables}
        return rendered(self.files, self.where, template, given, said, file or None)

    @cached_property
    def _tokenizer(self) -> Any:
        """None if there is no tokenizer.json, or one that `tokenizers` cannot open."""
        file = self.files.path / "tokenizer.json"
        if not file.is_file():
            return None
        from tokenizers import Tokenizer

        try:
            found = Tokenizer.from_file(str(file))
            found.no_truncation()
            found.no_padding()
            found.encode(_PROBE)
        except BaseException as error:
            if not isinstance(error, Exception) and not is_panic(error):
                raise
            what = f"the tokenizers library cannot open it ({first_line(error)})"
            self._refused = Problem(str(file), what, "Download the file again.")
            return None
        return found

    @cached_property
    def opening(self) -> int | None:
        """How many tokens the tokenizer puts in front of a text; None if it cannot be told."""
        if self._tokenizer is None:
            return None
        whole = self._tokenizer.encode(_PROBE).ids
        own = self._tokenizer.encode(_PROBE, add_special_tokens=False).ids
        for start in range(len(whole) - len(own) + 1):
            if whole[start : start + len(own)] == own:
                return start
        return None

    def counts(self, texts: Sequence[str]) -> list[int] | None:
        """Tokens of each text, special ones not added; None if they cannot be told."""
        if self._tokenizer is None:
            return None
        found = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [len(each.ids) for each in found]


def light_text(family: Family | None) -> LightText | None:
    """The light text of a family; None if there is no family or no tokenizer."""
    return None if family is None or family.tokenizer is None else LightText(family)
