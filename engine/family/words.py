"""The words that each model of a family reads: a chat template, a system message, a prefix.

    chat      [system, what the conversation has] ──► the model's own template, or the family's
    no chat   prefix + prompt

Scripts of proxy-tuning and GenARM write to each model as it was trained. A template is read here
and rendered as the family's is (`engine.family.templates`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from engine.errors import BadInput, Problem
from engine.family.dated import pinned
from engine.family.speaking import Messages, spoken
from engine.family.tokenizer import MAX_TEMPLATE
from engine.plain_file import read_plain
from engine.study_family import FamilySpec


@dataclass(frozen=True)
class Words:
    """What one model reads around a prompt.

    Attributes:
        model: its name; empty for the family's words.
        template: Jinja text; None: the family's.
        file: where the template stands.
        system: the system message of its chats; one that a conversation has follows it.
        prefix: stands in front of a prompt without chat.
        alone: a conversation's own system message is left out.
    """

    model: str = ""
    template: str | None = field(default=None, repr=False)
    file: Path | None = None
    system: str = ""
    prefix: str = ""
    alone: bool = False

    def instead(self, text: str) -> Words:
        """The same model's words with another text for what is put in front: its system message
        under chat, its prefix without; an empty one puts nothing there."""
        return replace(self, system=text, prefix=text, alone=True)

    def spoken(self, messages: Messages) -> list[Mapping[str, Any]]:
        """A conversation with the model's own system message first."""
        return spoken(messages, self.system, self.alone)

    @property
    def note(self) -> str:
        """What there is of its own, as a sentence."""
        parts = [f"the chat template {self.file.name}"] if self.file else []
        parts += ["a system message"] * bool(self.system) + ["a prefix"] * bool(self.prefix)
        return (
            f"{self.model}: it reads {' and '.join(parts)} of its own, alone and in logit space; "
            "merged weights read the family's words."
        )

    def as_dict(self) -> dict[str, Any]:
        """What texts depend on."""
        template = None if self.template is None else pinned(self.template)
        return {"template": template, "system": self.system, "prefix": self.prefix}


FAMILY = Words()
"""The family's own."""


def words_of(spec: FamilySpec) -> tuple[dict[str, Words], list[Problem]]:
    """The words of each model that has its own, and the files that cannot be read."""
    found: dict[str, Words] = {}
    problems: list[Problem] = []
    for name, wording in spec.templates.items():
        template = None
        if wording.template is not None:
            try:
                fix = "Give the path of a Jinja file, relative to the study file."
                template = read_plain(wording.template, MAX_TEMPLATE, fix=fix).decode("utf-8")
            except (BadInput, UnicodeDecodeError) as error:
                problems += _unread(name, wording.template, error)
        found[name] = Words(name, template, wording.template, wording.system, wording.prefix)
    return found, problems


def _unread(name: str, file: Path, error: BadInput | UnicodeDecodeError) -> list[Problem]:
    place = f"template of {name}"
    if isinstance(error, BadInput):
        return [Problem(f"{place}: {each.where}", each.what, each.fix) for each in error.problems]
    return [Problem(f"{place}: {file}", f"it is no text ({error})", "Save it as UTF-8.")]
