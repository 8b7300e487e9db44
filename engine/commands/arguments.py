"""What the text of an argument may be; every function raises `ValueError` with what is wrong."""

from __future__ import annotations

import math


def names(text: str) -> list[str]:
    """A list of names, at least one, with commas between them."""
    found = [each.strip() for each in text.split(",") if each.strip()]
    if not found:
        raise ValueError(f"{text!r} holds no name")
    return found


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


def named(text: str) -> tuple[str, str]:
    """A name and a text: `name=text`."""
    name, separator, value = (each.strip() for each in text.partition("="))
    if not (separator and name and value):
        raise ValueError(f"{text!r} is not in the form name=text")
    return name, value


def whole(text: str | int, lowest: int = 0) -> int:
    """A whole number from `lowest` to below 2^62."""
    try:
        value = int(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a whole number") from None
    if value < lowest:
        raise ValueError(f"expected {lowest} or more, got {value}")
    if value >= 1 << 62:
        raise ValueError(f"{text!r} is too large: expected less than 2^62")
    return value


def port(text: str | int) -> int:
    """A port of TCP; 0 stands for any that is free."""
    value = whole(text)
    if value > 65535:
        raise ValueError(f"expected at most 65535, got {value}")
    return value


def count(text: str | int) -> int:
    """A whole number from 1 to below 2^62."""
    return whole(text, 1)


def chance(text: str | float) -> float:
    """A probability above 0 and below 1."""
    value = number(text)
    if not 0 < value < 1:
        raise ValueError(f"expected a probability above 0 and below 1, got {value:g}")
    return value
