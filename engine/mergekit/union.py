"""The tokens of several tokenizers in one: the base's, then those that only others have.

First come plain tokens, then added ones, model by model in the order of the file and by id, which
mergekit leaves to chance. As there, a plain token becomes an added one: it is found where its text
stands as it is.
Source: mergekit 0.1.5, `tokenizer/build.py`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.errors import bad
from engine.family.tokenizer import TokenizerFiles
from engine.json_reading import optional_object

FILE = "tokenizer.json"
_FLAGS = dict.fromkeys(("single_word", "lstrip", "rstrip", "special"), False) | {"normalized": True}


def added_to(
    base: TokenizerFiles, others: Sequence[tuple[TokenizerFiles, int]], where: str
) -> tuple[dict[str, Any], ...]:
    """Entries of `added_tokens` that give the base's tokenizer.json the tokens of the others.

    Args:
        others: each with the number of ids that have rows; tokens beyond have none to bring.

    Raises:
        BadInput: the base has no tokenizer.json.
    """
    if not (base.path / FILE).is_file():
        fix = "Save it with transformers as tokenizer.json."
        raise bad(where, f"{base.path} has no {FILE} that tokens could be added to", fix)
    known = set(base.tokens.values())
    plain: dict[str, dict[str, Any]] = {}
    added: dict[str, dict[str, Any]] = {}
    for files, rows in others:
        listed = optional_object(files.path / FILE).get("added_tokens") or []
        entries = {each["content"]: each for each in listed}
        for number, token in sorted(files.tokens.items()):
            if token in known or number >= rows:
                continue
            if token in entries:
                added.setdefault(token, entries[token])
                plain.pop(token, None)
            elif token not in added:
                plain.setdefault(token, {"content": token, **_FLAGS})
    start = base.size
    return tuple(
        {**each, "id": number}
        for number, each in enumerate((*plain.values(), *added.values()), start)
    )


def write_added(file: Path, entries: Sequence[dict[str, Any]]) -> None:
    """Give a tokenizer.json more added tokens."""
    data = json.loads(file.read_text(encoding="utf-8"))
    data["added_tokens"] = [*(data.get("added_tokens") or []), *entries]
    file.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
