from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.counted import amount_text, counted, size_text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 points"), (1, "1 point"), (2, "2 points"), (12345, "12,345 points")]
)
def test_a_noun_agrees_with_its_number(count: int, text: str) -> None:
    assert counted(count, "point") == text


def test_an_irregular_plural_is_given() -> None:
    assert [counted(each, "entry", "entries") for each in (1, 3)] == ["1 entry", "3 entries"]


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (12_800, "12,800"), (1_000_000, "1 M"), (86_400_000, "86.4 M"),
     (7_240_000_000, "7.24 B"), (999_600_000, "1 B"), (123_456 * 10**9, "123000 B")],
)  # fmt: skip
def test_large_numbers_in_words(count: int, text: str) -> None:
    assert amount_text(count) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1500, "1.5 kB"), (999_400, "999 kB"),
     (999_600, "1 MB"), (2_480_000_000, "2.48 GB"), (3 * 10**12, "3 TB")],
)  # fmt: skip
def test_sizes_in_words(size: int, text: str) -> None:
    """A unit's thousandth is the next one's first, not 1e+03."""
    assert size_text(size) == text


def test_sizes_are_put_in_words_in_one_place() -> None:
    own = re.compile(r"/ ?1e[69]\b[^\n]*B\b|1e9[^\n]*GB")
    root = Path(__file__).parents[2]
    tops = ("cache", "engine", "studio", "ui", "pages")
    files = [each for top in tops for each in (root / top).rglob("*.py")]
    assert not [str(each) for each in files if own.search(each.read_text(encoding="utf-8"))]


def test_nothing_counts_in_words_by_itself() -> None:
    """One place knows when a noun takes an s."""
    own = re.compile(r"""['"]s?['"] if [^\n]*[!=><]=? ?1|else ['"]s['"]""")
    root = Path(__file__).parents[2]
    tops = ("cache", "engine", "studio", "ui", "pages")
    files = [each for top in tops for each in (root / top).rglob("*.py")]
    found = [
        f"{path}:{number}"
        for path in [*files, root / "app.py"]
        if path.name != "counted.py"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if own.search(line)
    ]
    assert not found
