"""What the text of an argument may be; every function raises `ValueError` with what is wrong."""

from __future__ import annotations

import math


def names(text: str) -> list[str]:
    """A list of names with commas between them."""
    return [each.strip() for each in text.split(",") if each.strip()]


def number(text: str | float) -> float:
    """A finite number."""
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is not finite")
    return value


def numbers(text: str) -> list[float]:
    """Finite numbers with commas between them."""
    return [number(each) for each in text.split(",")]


def pair(text: str) -> tuple[str, float]:
    """A name and a number: `name=value`."""
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise ValueError(f"{text!r} is not in the form name=value")
    return name, number(value)


def whole(text: str | int) -> int:
    """A whole number from 0 to 2^62."""
    try:
        value = int(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a whole number") from None
    if not 0 <= value < 1 << 62:
        raise ValueError(f"{text!r} is not from 0 to 2^62")
    return value


def count(text: str | int) -> int:
    """A whole number from 1 on."""
    value = whole(text)
    if not value:
        raise ValueError("expected 1 or more, got 0")
    return value
