"""How a study's points are keyed, known before the engine has opened it.

So the chart can be drawn while the engine is still starting. The engine's own answer replaces it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
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


def fingerprints_of(
    family: Family,
    objectives: Iterable[Objective],
    workspace: Path,
    quantum: Callable[[], None] = nothing,
) -> tuple[str, dict[str, str]]:
    """(the family's fingerprint, objective -> fingerprint); weights that are not remembered are
    read, with a call of `quantum` for each piece."""
    assert family.tokenizer is not None
    tokenizer = family.tokenizer.hash
    prints = {each.name: objective_fingerprint(each, tokenizer) for each in objectives}
    return family_fingerprint(family, workspace, quantum), prints


def keys_before(
    family: Family,
    objectives: Iterable[Objective],
    store: Store,
    workspace: Path,
    *,
    wait: bool = False,
) -> tuple[str, dict[str, str], str] | None:
    """The keys under which this family has points: its fingerprint, the objectives' by name, and
    the numerics of the newest score.

    Weights are known by their remembered digests; those of a small family are read where they are
    not. None if they would have to be read, or there are no points.

    Args:
        wait: read those of a large family too.

    Raises:
        BadInput: weights that cannot be used, where they are waited for.
    """
    if family.tokenizer is None:
        return None
    small = sum(each.bytes for each in family.models.values()) <= AT_ONCE
    quantum = nothing if wait or small else _not_now
    try:
        found, prints = fingerprints_of(family, objectives, workspace, quantum)
    except Cancelled:
        return None
    except BadInput:
        if wait:
            raise
        return None
    numerics = store.numerics(found)
    return (found, prints, numerics[0]) if numerics else None
