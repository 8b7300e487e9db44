"""How a study's points are keyed, said before the engine has opened it.

The chart then stands while the engine still starts. The engine's own word replaces it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cache.store import Store
from engine.errors import BadInput, Cancelled
from engine.family.compatibility import Family
from engine.family.fingerprint import family_fingerprint, nothing
from engine.scoring.objectives import objective_fingerprint
from engine.study import Objective

AT_ONCE = 64 << 20
"""Bytes of weights that are read rather than waited for: 0.2 s at most, and once."""


def _not_now() -> None:
    raise Cancelled("a file is not remembered")


def keys_before(
    family: Family, objectives: Iterable[Objective], store: Store, workspace: Path
) -> tuple[str, dict[str, str], str] | None:
    """The keys under which this family has points: its fingerprint, the objectives' by name, and
    the numerics of the newest score.

    Weights are known by their remembered digests; those of a small family are read where they are
    not. None where they would have to be read, or there are no points.
    """
    if family.tokenizer is None:
        return None
    small = sum(each.bytes for each in family.models.values()) <= AT_ONCE
    try:
        fingerprint = family_fingerprint(family, workspace, nothing if small else _not_now)
    except (Cancelled, BadInput):
        return None
    numerics = store.numerics(fingerprint)
    if not numerics:
        return None
    tokenizer = family.tokenizer.hash
    prints = {each.name: objective_fingerprint(each, tokenizer) for each in objectives}
    return fingerprint, prints, numerics[0]
