"""What a study file says of its family: where the models lie, and how each is written to.

    templates:
      safe: templates/safe.jinja                                  a chat template of its own
      base: {template: q_and_a.jinja}                             the same
      helpful: {system: You are helpful., prefix: "Question: "}   before what it reads

Whatever a model does not have of its own is the family's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.errors import unknown
from engine.recipe import FrozenDict, Names
from engine.study_file import Reader

RESERVED_NAMES = ("base", "target")
"""Models of every family, which no expert is called."""

FAMILY_KEYS = ("base", "experts", "target", "tokenizer", "towers", "templates")
TOWERS = ("base", "merge")
WORDING_KEYS = ("template", "system", "prefix")


@dataclass(frozen=True)
class Wording:
    """How one model is written to, where that is not as the family is.

    Attributes:
        template: file of its chat template; None: the family's.
        system: the system message of its chats; one that a conversation has follows it.
        prefix: stands in front of a prompt that is fed as it is, without chat.
    """

    template: Path | None = None
    system: str = ""
    prefix: str = ""


@dataclass(frozen=True)
class FamilySpec:
    """Where the models of a family lie; nothing is opened.

    Attributes:
        experts: name -> directory, in the order of the file; full checkpoints and LoRA adapters.
        tokenizer: "base" or an expert's name: whose tokenizer, template, generation_config; "" for
            the one with the most tokens, where weights alone are merged.
        towers: what becomes of the other towers of multimodal checkpoints (vision, audio, and what
            joins them to the text): "base" leaves them as the base has them, "merge" merges them.
        templates: how single models are written to; the others as the family is.
    """

    base: Path
    experts: Mapping[str, Path]
    target: Path | None = None
    tokenizer: str = "base"
    towers: str = "base"
    templates: Mapping[str, Wording] = field(default_factory=FrozenDict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "experts", FrozenDict(self.experts))
        object.__setattr__(self, "templates", FrozenDict(self.templates))

    @property
    def names(self) -> Names:
        own = frozenset(self.templates)
        return Names(tuple(self.experts), self.target is not None, own_words=own)

    def path_of(self, name: str) -> Path:
        """Directory of a model by its name; raises `BadInput` with near matches."""
        if name == "base":
            return self.base
        if name == "target" and self.target is not None:
            return self.target
        if name not in self.experts:
            raise unknown("family", "model", name, self.names.models)
        return self.experts[name]


def wordings(reader: Reader, data: Any, models: tuple[str, ...]) -> dict[str, Wording]:
    """The value of `templates:`; problems go to the reader.

    Args:
        models: names of the family.
    """
    found = {}
    for name, value in reader.mapping({} if data is None else data, "family.templates").items():
        where = f"family.templates.{name}"
        if name not in models:
            reader.unknown("family.templates", "model", name, models)
            continue
        given = {"template": value}
        if not isinstance(value, str):
            given = reader.mapping(value, where, WORDING_KEYS)
        template = given.get("template")
        found[name] = Wording(
            None if template is None else reader.place(template, f"{where}.template"),
            _text(reader, given, "system", where),
            _text(reader, given, "prefix", where),
        )
        if found[name] == Wording():
            what = "it says nothing"
            reader.problem(where, what, "Give a file, or template, system or prefix.")
    return found


def _text(reader: Reader, data: Mapping[str, Any], key: str, where: str) -> str:
    value = data.get(key, "")
    if isinstance(value, str):
        return value
    reader.problem(f"{where}.{key}", f"expected a string, got {value!r}", "Put it in quotes.")
    return ""
