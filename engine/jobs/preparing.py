"""Tells what is being prepared before a recipe can run, while it is: a basis of the whole model may
take minutes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.compose import Composer
from engine.decoding.inputs import Tick
from engine.jobs.served import Emit


def telling(
    composer: Composer, emit: Emit, tick: Tick, places: Mapping[str, Any] | None = None
) -> Tick:
    """A tick that also emits progress whenever `composer.preparing` has changed.

    Args:
        places: the job's progress beside it.
    """
    said = ""

    def told() -> None:
        nonlocal said
        tick()
        if (now := composer.preparing) != said:
            said = now
            stage = {"stage": now} if now else {}
            emit("progress", {**(places or {}), **stage})

    return told
