"""A family's tokenizer with the words of each of its models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from engine.family.compatibility import Family
from engine.family.text import Text
from engine.family.words import Words


class Texts:
    """One `Text` for each way of writing prompts, always the same one."""

    def __init__(self, family: Family) -> None:
        self._words = family.words
        self._family = family
        self._known: dict[Words, Text] = {}

    @cached_property
    def plain(self) -> Text:
        """The family's; raises `BadInput` if transformers cannot load the tokenizer."""
        return Text(self._family)

    def of(self, model: str, instead: str | None = None) -> Text:
        """A model's, the family's where it has no words of its own.

        Args:
            instead: what it reads in place of its system message or prefix.
        """
        words = self._words.get(model)
        if instead is not None:
            words = (words or Words(model)).instead(instead)
        if words is None:
            return self.plain
        if words not in self._known:
            self._known[words] = self.plain.worded(words)
        return self._known[words]

    def of_passes(
        self, passes: Sequence[tuple[str, str | None]]
    ) -> tuple[Text, Mapping[int, Text]]:
        """The text of a mixture, and by their places those of the passes that read another: the
        family's if any model reads it, else the first one's."""
        found = [self.of(*each) for each in passes]
        text = self.plain if self.plain in found else found[0]
        return text, {place: each for place, each in enumerate(found) if each is not text}
