"""Registries: objects looked up by the name used in files, each name once in the whole product.

Methods and scorers are registered by decorating a function. A name means one thing: registering a
name that a method or scorer already has is refused.
"""

from __future__ import annotations

from typing import Any, TypeVar

from engine.errors import unknown

Entry = TypeVar("Entry")

_REGISTRIES: list[Registry[Any]] = []


class Registry(dict[str, Entry]):
    """Name -> what is registered under it.

    Args:
        word: what an entry is called in messages, "method" say.
    """

    def __init__(self, word: str) -> None:
        super().__init__()
        self.word = word
        _REGISTRIES.append(self)

    def add(self, name: str, entry: Entry) -> None:
        """Register an entry; raises `ValueError` where the name is taken."""
        for other in _REGISTRIES:
            if name in other:
                raise ValueError(
                    f"{self.word} {name}: there is already a {other.word} of this name"
                )
        self[name] = entry

    def find(self, name: str, where: str) -> Entry:
        """The entry of that name; raises `BadInput` that lists near matches."""
        if name not in self:
            raise unknown(where, self.word, name, self)
        return self[name]
