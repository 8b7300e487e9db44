"""A JSON object from a model's directory, read as untrusted input.

Refused: a file that is not regular or too large, a key that stands twice, a number beyond what a
float can hold, nesting without end. Infinity and NaN pass, which transformers writes into some
configurations; who needs a finite number checks that.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from engine.errors import bad, kind_of
from engine.plain_file import read_plain

MAX_JSON = 200_000_000
MAX_DEPTH = 100

_HUGE = re.compile(rb"[0-9]{300}|[eE]\+?[0-9]{3}")
_AGAIN = "Download the file again."


class Unsound(ValueError):
    """What JSON allows and nothing here does."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise Unsound(f"it holds the key {key[:80]!a} twice")
            seen.add(key)
    return found


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise Unsound(f"the number {text[:40]} exceeds the range of a float")
    return value


def _int(text: str) -> int:
    if len(text) > 309 or math.isinf(float(text)):
        raise Unsound(f"the number {text[:40]}… exceeds the range of a float")
    return int(text)


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            each
            for holder in level
            for each in (holder.values() if type(holder) is dict else holder)
            if type(each) is dict or type(each) is list
        ]
        if not level:
            return False
    return True


def parse_json(content: bytes) -> Any:
    """The value of a JSON text.

    Raises:
        Unsound: what is refused above.
        ValueError: it is not JSON, or not UTF-8; a `json.JSONDecodeError` where a line is known.
    """
    numbers: dict[str, Any] = {}
    if _HUGE.search(content):
        numbers = {"parse_float": _float, "parse_int": _int}
    try:
        found = json.loads(content.decode("utf-8"), object_pairs_hook=_pairs, **numbers)
    except RecursionError:
        raise Unsound("nested too deeply") from None
    if isinstance(found, dict | list) and _too_deep(found):
        raise Unsound(f"nested more than {MAX_DEPTH} levels deep")
    return found


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object from a file; raises `BadInput` naming the file and the line."""
    content = read_plain(path, MAX_JSON, fix="This is not a model file.")
    try:
        data = parse_json(content)
    except Unsound as error:
        raise bad(str(path), f"not valid JSON ({error})", _AGAIN) from None
    except json.JSONDecodeError as error:
        raise bad(f"{path}:{error.lineno}", f"not JSON ({error.msg})", _AGAIN) from None
    except ValueError:
        raise bad(str(path), "not JSON", _AGAIN) from None
    if not isinstance(data, dict):
        what = f"expected a JSON object, got {kind_of(data)}"
        raise bad(str(path), what, _AGAIN)
    return data


def optional_object(path: Path) -> dict[str, Any]:
    """The JSON object of a file; {} where there is no such file."""
    return read_object(path) if path.exists() else {}
