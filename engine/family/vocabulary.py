"""Vocabulary rows: merging tensors with a row a token when the numbers of rows differ.

    base    512 rows   ████████████████████
    helpful 514 rows   ████████████████████▒▒   rows 0…511 are merged, 512 and 513 are of
    honest  508 rows   ██████████████████       helpful, who alone has them; honest counts as
                                                base from 508 on

Rows differ because a fine-tune added tokens or because rows were padded to a multiple.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

from engine.errors import Problem
from engine.family.checkpoint import Checkpoint
from engine.family.dated import DAY, uses_date
from engine.family.ties import EMBEDDINGS, HEADS
from engine.family.tokenizer import TokenizerFiles, compare


@dataclass(frozen=True)
class ExtraRows:
    """Rows start … stop − 1, taken as they are from one model."""

    start: int
    stop: int
    model: str


@dataclass(frozen=True)
class VocabularyRows:
    """How one tensor's first dimension is put together.

    Attributes:
        common: rows of the base; these are merged, and an expert that lacks one of them does not
            differ from the base there.
        merged: rows of the result.
        extra: who supplies the rows from `common` to `merged`; no gaps.
    """

    common: int
    merged: int
    extra: tuple[ExtraRows, ...] = ()


def is_vocabulary(checkpoint: Checkpoint, name: str) -> bool:
    """Whether a tensor has one row a token: by its name, or by config.json's vocab_size."""
    shape = checkpoint.tensors[name].shape
    if not shape:
        return False
    return bool(EMBEDDINGS.search(name) or HEADS.search(name)) or shape[0] == checkpoint.setting(
        "vocab_size"
    )


def combine_rows(rows: Mapping[str, int]) -> VocabularyRows:
    """The plan for one tensor from model -> rows, base first and experts in family order.

    Rows that the base lacks come from the first expert that has them.
    """
    extra: list[ExtraRows] = []
    start = rows["base"]
    for model, stop in rows.items():
        if stop > start:
            extra.append(ExtraRows(start, stop, model))
            start = stop
    return VocabularyRows(rows["base"], start, tuple(extra))


def token_problems(tokenizers: Mapping[str, TokenizerFiles]) -> list[Problem]:
    """Every model whose ids mean other tokens than a model's before it, by its first such id."""
    problems = []
    seen: dict[str, TokenizerFiles] = {}
    for name, files in tokenizers.items():
        for other, known in seen.items():
            found = compare(known, files)
            if found is not None:
                number, first, second = found
                what = f"id {number} is the token {first!r} in {other} and {second!r} in {name}"
                fix = "Models of a family must share their token ids; remove one of the two."
                problems.append(Problem(f"tokenizer of {name} ({files.path})", what, fix))
                break
        else:
            seen[name] = files
    return problems


def tokenizer_notes(
    tokenizers: Mapping[str, TokenizerFiles], chosen: str, words: Container[str] = ()
) -> list[str]:
    """What to know of tokenizers that go together: tokens and templates that only others have.

    Args:
        chosen: the model that `tokenizer:` names.
        words: models that have words of their own.
    """
    family = tokenizers[chosen]
    notes = []
    for name, files in tokenizers.items():
        extra = len(files.tokens.keys() - family.tokens.keys())
        if extra:
            notes.append(
                f"{name}: it has {extra} tokens that the tokenizer of {chosen} lacks; prompts "
                f"never contain them, and exports get the tokenizer of {chosen}. `tokenizer: "
                f"{name}` includes them."
            )
        other = files.chat_template and files.chat_template != family.chat_template
        if other and name not in words:
            whose = f"{chosen}'s" if family.chat_template else f"none: {chosen} has none"
            notes.append(
                f"{name}: its chat template differs from the family's; with chat, every model is "
                f"prompted through that of {whose}, unless `templates:` gives it one of its own."
            )
    if uses_date(family.chat_template):
        notes.append(
            f"tokenizer of {chosen}: its chat template writes today's date; it is always "
            f"{DAY:%d %B %Y} here, so that a score does not change with the day."
        )
    return notes
