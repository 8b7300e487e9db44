"""docs/architecture.md names what is there: every stop of a walk, every count, every floor."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.test_structure import FLOORS

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
MANY = 8
"""Modules of a floor that are too many to be listed one by one."""
STOP = re.compile(r"^(\d+)\. `([^`:]+):([^`]+)`", re.MULTILINE)


def walks() -> dict[str, str]:
    """Heading -> text of each section that is a walk."""
    parts = re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]
    found = {part.partition("\n")[0]: part for part in parts}
    return {name: text for name, text in found.items() if STOP.search(text)}


def named(tree: ast.Module) -> set[str]:
    """Functions, classes and methods of a module: `name`, `Class`, `Class.method`."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{e.name}" for e in node.body if isinstance(e, ast.FunctionDef)}
    return found


def is_there(path: str, name: str) -> bool:
    file = ROOT / path
    if not file.is_file():
        return False
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        return name in named(ast.parse(text))
    patterns = (rf"\b{re.escape(name)} \??\??= ", rf"function {re.escape(name)}\(")
    return any(re.search(each, text) for each in patterns)


def test_there_are_three_walks() -> None:
    assert len(walks()) == 3


@pytest.mark.parametrize(("path", "name"), sorted({each[1:] for each in STOP.findall(TEXT)}))
def test_a_stop_is_there(path: str, name: str) -> None:
    assert is_there(path, name)


def test_a_stop_that_is_gone_is_missed() -> None:
    assert not is_there("engine/recipe.py", "never_there")
    assert not is_there("engine/never_there.py", "resolve")
    assert not is_there("ui/components/readout.js", "never_there")


@pytest.mark.parametrize("name", walks())
def test_the_stops_of_a_walk_are_counted(name: str) -> None:
    text = walks()[name]
    numbers = [int(each[0]) for each in STOP.findall(text)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert f"{len(numbers)} stops" in text
    assert text.count("```") >= 2  # its drawing


def test_every_floor_is_described() -> None:
    told = re.search(r"^```floors\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    assert told is not None
    lines = [line.split("  ")[0].strip() for line in told[1].splitlines() if line.strip()]
    assert lines == [
        ", ".join(floor) if len(floor) < MANY else "what is read and kept" for floor in FLOORS
    ]
