"""Tokenizers that transformers has loaded before: opening a family need not load them once more.

Loading one imports half of transformers, and says only whether it can be loaded. That holds for as
long as every file of its directory, transformers and tokenizers stay what they were; it is kept in
the workspace under a hash of all of these, so that nothing kept can be out of date.
"""

from __future__ import annotations

import hashlib
import json
import logging
from importlib.metadata import version
from pathlib import Path

from engine.family.compatibility import Family

log = logging.getLogger(__name__)

PLACE = "tokenizers"
"""Directory in the workspace, an empty file for each that was loaded."""


def _mark(family: Family, workspace: Path) -> Path | None:
    """The file that says so; None if the family has no tokenizer."""
    files = family.tokenizer
    if files is None:
        return None
    there = []
    for each in sorted(files.path.iterdir()):
        found = each.stat()
        there.append((each.name, found.st_size, found.st_mtime_ns, found.st_ino))
    config = files.path / "config.json"
    known = {
        "path": str(files.path),
        "files": there,
        "texts": files.hash,
        "config": hashlib.sha256(config.read_bytes()).hexdigest() if config.is_file() else "",
        "versions": [version(each) for each in ("transformers", "tokenizers")],
    }
    name = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
    return workspace / PLACE / name


def is_proven(family: Family, workspace: Path) -> bool:
    """Whether transformers has loaded this tokenizer as it is now."""
    mark = _mark(family, workspace)
    return mark is not None and mark.is_file()


def remember(family: Family, workspace: Path) -> None:
    """Keep that it has; a workspace that cannot be written only costs time."""
    mark = _mark(family, workspace)
    if mark is None:
        return
    try:
        mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mark.touch(0o600)
    except OSError as error:
        log.warning("%s cannot be kept, so the tokenizer is loaded again (%s)", mark, error)
