"""The tokenizers of a family: which are there, and whether an id is the same token to all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.errors import BadInput, Problem
from engine.family.checkpoint import Checkpoint
from engine.family.pieces import pieces_file, read_pieces
from engine.family.tokenizer import (
    TokenizerFiles,
    chat_template_of,
    config_end_ids,
    content_of,
)
from engine.family.vocabulary import token_problems
from engine.json_reading import optional_object
from engine.study import FamilySpec


@dataclass
class Tokenizers:
    """What was found.

    Attributes:
        files: model -> its tokenizer, of those that have one that can be read.
        problems: of each that ought to be there and is not, and of ids that mean other tokens.
        notes: what is allowed but worth knowing.
    """

    files: dict[str, TokenizerFiles] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def open_tokenizers(
    models: Mapping[str, Checkpoint], spec: FamilySpec, text: bool, ids: bool = True
) -> Tokenizers:
    """Read every model's tokenizer and compare the ids.

    Args:
        text: the family is to be run, so the one that `tokenizer:` names and the target's must be
            there, in a form that transformers loads.
        ids: whether an id has to mean the same token to all.
    """
    found = Tokenizers()
    for name, model in models.items():
        if model.kind == "raw":
            continue
        needed = text and name in (spec.tokenizer, "target")
        try:
            files = TokenizerFiles.open(model.path) if needed else _seen(model.path)
        except BadInput as error:
            found.problems.extend(error.problems)
            continue
        if files is not None:
            found.files[name] = files
        elif text and (model.kind == "full" or model.rows):
            _without(found, model, models.get("base"))
    if ids:
        found.problems.extend(token_problems(found.files))
    return found


def widest(tokenizers: Mapping[str, TokenizerFiles], rows: int) -> str:
    """The model whose tokenizer has most tokens, all of which have one of `rows` rows: the base
    among equals, and where none fits."""
    fitting = {name: each for name, each in tokenizers.items() if each.size <= rows}
    order = sorted(fitting, key=lambda name: name != "base")
    return max(order, key=lambda name: len(fitting[name].tokens), default="base")


def _without(found: Tokenizers, model: Checkpoint, base: Checkpoint | None) -> None:
    """What a model without a tokenizer to compare means."""
    file = pieces_file(model.path)
    has = "no tokenizer" if file is None else f"only {file.name}, in a format that is not supported"
    if base is not None and model.rows != base.rows:
        what = f"it has {has}, and {model.rows} rows where base has {base.rows}, "
        what += "so its ids cannot be compared"
        fix = "Copy the tokenizer it was trained with into its directory, as tokenizer.json."
        found.problems.append(Problem(f"{model.name} ({model.path})", what, fix))
    elif model.kind == "full":
        found.notes.append(
            f"{model.name} has {has} of its own; its ids are assumed to be the family's."
        )


def _seen(path: Path) -> TokenizerFiles | None:
    """A directory's tokenizer as far as its ids can be told, a sentencepiece model's too.

    None if there is none. Raises `BadInput` where a file is not what it should be.
    """
    if TokenizerFiles.present(path):
        return TokenizerFiles.open(path)
    file = pieces_file(path)
    if file is None:
        return None
    settings = optional_object(path / "tokenizer_config.json")
    tokens = read_pieces(file, str(settings.get("tokenizer_class") or ""))
    if tokens is None:
        return None
    added: list[tuple[Any, Any]] = list(optional_object(path / "added_tokens.json").items())
    decoder = settings.get("added_tokens_decoder")
    if isinstance(decoder, dict):
        added += [
            (content_of(each), int(key))
            for key, each in decoder.items()
            if key.isdecimal() and len(key) < 12
        ]
    tokens |= {
        number: text for text, number in added if isinstance(text, str) and isinstance(number, int)
    }
    return TokenizerFiles(
        path, tokens, config_end_ids(path), None, chat_template_of(path, settings)
    )
