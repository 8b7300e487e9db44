"""Objectives that combine others of the study: which those are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.study import Objective
    from engine.study_file import Reader

COMBINATION = "combination"
"""The scorer of an objective that combines others."""

MEMBER_KEYS = ("name", "scorer", "direction", "combine", "of")


def combination(reader: Reader, data: dict[str, Any], where: str) -> dict[str, Any]:
    """An item of `objectives:`, with the scorer where it says how it combines others."""
    if "combine" not in data or data.get("scorer", COMBINATION) != COMBINATION:
        return data
    return {"scorer": COMBINATION, **reader.mapping(data, where, MEMBER_KEYS)}


def with_members(objectives: Sequence[Objective], reader: Reader) -> list[Objective]:
    """The objectives, each combination with its members; a problem for each that cannot be one."""
    plain = {each.name: each for each in objectives if each.scorer != COMBINATION}
    found = []
    for each in objectives:
        names = each.options.get("of", ()) if each.scorer == COMBINATION else ()
        where, members = f"objective {each.name}: option of", []
        for name in (names,) if isinstance(names, str) else names:
            if name in plain:
                members.append(plain[name])
            elif name in {other.name for other in objectives}:
                what = "it combines itself" if name == each.name else f"{name} combines others"
                reader.problem(where, what, "Name objectives that are measured.")
            else:
                reader.unknown(where, "objective", name, tuple(plain))
        found.append(replace(each, members=tuple(members)) if members else each)
    return found


def measured_of(objectives: Sequence[Objective]) -> list[Objective]:
    """What is measured for objectives: themselves, and for a combination its members."""
    every = [one for each in objectives for one in each.members or (each,)]
    return list({each.name: each for each in every}.values())
