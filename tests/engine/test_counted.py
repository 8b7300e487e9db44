from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.counted import counted


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 points"), (1, "1 point"), (2, "2 points"), (12345, "12,345 points")]
)
def test_a_noun_agrees_with_its_number(count: int, text: str) -> None:
    assert counted(count, "point") == text


def test_an_irregular_plural_is_given() -> None:
    assert [counted(each, "entry", "entries") for each in (1, 3)] == ["1 entry", "3 entries"]


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
