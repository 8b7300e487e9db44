"""Whether a tokenizer puts tokens behind a text, by its files: an end token, say.

They are left out wherever a text is encoded (`engine.family.text`), as they were not once; so what
was measured with such a tokenizer before must not be taken for what is measured now.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_KEY = '"post_processor":'


def appends(path: Path, settings: Mapping[str, Any]) -> bool:
    """Whether the tokenizer of a directory ends every text with tokens of its own.

    Args:
        settings: its tokenizer_config.json.
    """
    if settings.get("add_eos_token") is True:
        return True
    file = path / "tokenizer.json"
    if not file.is_file():
        return False
    text = file.read_text(encoding="utf-8", errors="replace")
    place = text.find(_KEY)
    if place < 0:
        return False
    tail = text[place + len(_KEY) :].lstrip()
    try:
        return _ends(json.JSONDecoder().raw_decode(tail)[0])
    except ValueError:
        return False  # opening the tokenizer says what is wrong with the file


def _ends(processor: Any) -> bool:
    if not isinstance(processor, dict):
        return False
    if processor.get("type") == "Sequence":
        return any(map(_ends, processor.get("processors") or []))
    if processor.get("type") in ("BertProcessing", "RobertaProcessing"):
        return True
    single = processor.get("single")
    last = single[-1] if isinstance(single, list) and single else None
    return isinstance(last, dict) and "SpecialToken" in last
