"""Text to ids and back, with the tokenizer and chat template that the family names.

One choice of tokenizer serves every model of the family: their ids mean the same tokens. What it
does not do: decide where a text ends while it is generated (`engine.decoding`), or read end tokens
from files (`engine.family.tokenizer`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")

from engine.errors import bad
from engine.family.compatibility import Family


def first_line(error: BaseException) -> str:
    """The first line of an error's message; its type where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


class Text:
    """The family's tokenizer.

    Attributes:
        end_ids: ids that end a text: of generation_config, config and tokenizer.
        size: one more than the highest id; `len(tokenizer)` where ids have no gaps.
    """

    def __init__(self, family: Family) -> None:
        if family.tokenizer is None:
            raise bad(
                f"{family.spec.tokenizer} ({family.spec.path_of(family.spec.tokenizer)})",
                "the tokenizer is missing",
                "Name another model as `tokenizer:`, or copy the tokenizer's files there.",
            )
        from transformers import AutoTokenizer

        self.files = family.tokenizer
        self.where = f"tokenizer of {family.spec.tokenizer} ({self.files.path})"
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(
                str(self.files.path), local_files_only=True, trust_remote_code=False
            )
        except (ValueError, KeyError, OSError, ImportError, TypeError, AttributeError) as error:
            raise bad(
                self.where,
                f"transformers cannot load it ({first_line(error)})",
                "Code of its own is never run.",
            ) from error
        own = self.tokenizer.eos_token_id
        self.end_ids: frozenset[int] = family.end_ids | (frozenset() if own is None else {int(own)})
        self.size: int = max(len(self.tokenizer), self.files.size)

    @property
    def end_token(self) -> int:
        """The id that ends an answer in training: the tokenizer's own, else the smallest end id."""
        if self.tokenizer.eos_token_id is not None:
            return int(self.tokenizer.eos_token_id)
        if not self.end_ids:
            raise bad(
                self.where, "no end token is named", "Set eos_token_id in generation_config.json."
            )
        return min(self.end_ids)

    @property
    def has_chat_template(self) -> bool:
        return bool(self.tokenizer.chat_template)

    def encode(self, prompt: str, chat: bool = False) -> list[int]:
        """Ids of a prompt: as it is, with the tokenizer's opening tokens, or as a user message."""
        if chat:
            return self.encode_messages([{"role": "user", "content": prompt}])
        return [int(each) for each in self.tokenizer(prompt)["input_ids"]]

    def encode_messages(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """Ids of a conversation through the chat template, opened for the assistant's answer.

        The template writes its own opening tokens, so none is added. Raises `BadInput` where there
        is no template or it refuses the messages.
        """
        if not self.has_chat_template:
            raise bad(
                self.where,
                "it has no chat template, and chat was asked for",
                "Add chat_template.jinja, name another model as `tokenizer:`, or set chat: false.",
            )
        from jinja2.exceptions import TemplateError

        try:
            text = self.tokenizer.apply_chat_template(
                [dict(each) for each in messages], tokenize=False, add_generation_prompt=True
            )
        except (TemplateError, TypeError, KeyError, ValueError) as error:
            raise bad(
                self.where,
                f"the chat template refuses the messages ({error})",
                "Mend the messages.",
            ) from error
        return self.continuation(text)

    def continuation(self, text: str) -> list[int]:
        """Ids of a text that goes on from what is there: no special tokens are added."""
        return [int(each) for each in self.tokenizer(text, add_special_tokens=False)["input_ids"]]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, special tokens left out, spaces as they are."""
        return str(
            self.tokenizer.decode(
                list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )
