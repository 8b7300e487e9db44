"""A sweep's recipes as the journal keeps them."""

from __future__ import annotations

import json
from dataclasses import replace

import engine
from engine.prune import Prune
from engine.recipe import Recipe
from studio.sweeps.sweep import _packed, _unpacked

assert engine.merging


def test_recipes_that_prune_come_back_as_they_were() -> None:
    whole = [Recipe("task_arithmetic", {"helpful": each / 4}) for each in range(4)]
    pruned = [replace(each, prune=Prune("harm", 0.1, rows="0123456789ab")) for each in whole]
    every = (*whole[:2], *pruned, *whole[2:])
    packed = json.loads(json.dumps(_packed(every)))
    assert _unpacked(packed) == every
    assert len(packed) == 3 and "prune" not in packed[0]
