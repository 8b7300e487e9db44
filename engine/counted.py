"""Counts and sizes in words: `1 point`, `2 points`, `86.4 M`, `2.48 GB`."""

from __future__ import annotations

from collections.abc import Sequence


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun.

    Args:
        plural: where it is not the noun with an s.
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def amount_text(count: int) -> str:
    """A large number: 1.24 B, 86 M, 12,800."""
    return _in_units(count, (("M", 10**6), ("B", 10**9))) or f"{count:,}"


def size_text(size: int) -> str:
    """Bytes in the unit that reads best, a thousand of the one before: 1.5 kB, 2.48 GB."""
    units = (("kB", 10**3), ("MB", 10**6), ("GB", 10**9), ("TB", 10**12))
    return _in_units(size, units) or counted(size, "byte")


def _in_units(count: int, units: Sequence[tuple[str, int]]) -> str:
    """Three digits in the largest unit of which there is one, rounded; "" below the first."""
    found = ""
    for unit, large in units:
        value = float(f"{count / large:.3g}")
        if value >= 1:
            found = f"{value:.12g} {unit}"
    return found
