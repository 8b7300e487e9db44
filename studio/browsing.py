"""The directories of this server, for path fields: their contents, and which subdirectories hold a
model, an adapter or a study."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from engine.errors import BadInput
from engine.study_file import place_of

HOLDS = {"adapter_config.json": "an adapter", "config.json": "a model", "study.yaml": "a study"}
"""A file -> what the directory is that has it; the first counts."""

MOST = 2000
"""Entries of a directory that are offered."""

DATA = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".gz")
STUDIES = (".yaml", ".yml")
TEMPLATES = (".jinja", ".jinja2", ".j2")


@dataclass(frozen=True)
class Entry:
    """Something in a directory.

    Attributes:
        holds: "a model", "an adapter", "a study"; "" for any other directory, and for a file.
    """

    path: Path
    is_file: bool = False
    holds: str = ""

    def __str__(self) -> str:
        if self.is_file:
            return self.path.name
        return f"{self.path.name}/" + (f" — {self.holds}" if self.holds else "")


@dataclass(frozen=True)
class Listing:
    """A directory.

    Attributes:
        crumbs: (name, directory) from the root to it.
        entries: subdirectories that hold something first, then the others, then files.
        left_out: how many more there are.
        problem: why it cannot be read; "" if it can.
    """

    path: Path
    crumbs: tuple[tuple[str, Path], ...]
    entries: tuple[Entry, ...] = ()
    left_out: int = 0
    problem: str = ""
    holds: str = ""


def held_by(directory: Path) -> str:
    """What a directory contains, judging by its files."""
    try:
        return next((what for file, what in HOLDS.items() if (directory / file).is_file()), "")
    except OSError:
        return ""


def listing(directory: Path, endings: tuple[str, ...] = ()) -> Listing:
    """What lies in a directory; hidden names are left out.

    Args:
        endings: of the files that are offered; none by default.
    """
    crumbs = tuple((each.name or str(each), each) for each in (*directory.parents[::-1], directory))
    found: list[Entry] = []
    try:
        with os.scandir(directory) as scanned:
            for each in scanned:
                if each.name.startswith(".") or not _is_text(each.name):
                    continue
                if _is_directory(each):
                    found.append(Entry(Path(each.path), holds=held_by(Path(each.path))))
                elif each.name.lower().endswith(endings or "\0"):
                    found.append(Entry(Path(each.path), is_file=True))
    except OSError as error:
        problem = f"{directory} cannot be read ({error.strerror})"
        return Listing(directory, crumbs, problem=problem)
    found.sort(key=lambda e: (e.is_file, not e.holds, e.path.name.casefold(), e.path.name))
    left = max(0, len(found) - MOST)
    return Listing(directory, crumbs, tuple(found[:MOST]), left, holds=held_by(directory))


def _is_text(name: str) -> bool:
    """Whether a name can be shown, and typed."""
    return name.isprintable()  # what is no UTF-8 holds lone surrogates here


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def start_of(typed: str, otherwise: Iterable[Path]) -> Path:
    """Where browsing begins: the directory entered, or its nearest existing parent, else the first
    of the others that is, else the root."""
    places = [*otherwise, Path("/")]
    if typed.strip():
        try:
            place = place_of(typed.strip(), Path.cwd(), "path")
            places = [place, *place.parents[:-1], *places]
        except BadInput:
            pass
    return next(each for each in places if _there(each))


def _there(place: Path) -> bool:
    try:
        return place.is_dir()
    except OSError:
        return False
