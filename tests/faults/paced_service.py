"""A service that needs no models: a score row a recipe, a few milliseconds each, kept by its id."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cache.rows import score_id
from engine.jobs.claiming import TakenOver, Turns
from engine.jobs.served import Emit
from engine.worker.messages import Job

FAMILY, OBJECTIVE, NUMERICS = "f" * 64, "o" * 64, "cpu/float32/1"


def row_id(point: str) -> str:
    return score_id(point, OBJECTIVE, "explore", NUMERICS)


HELD = "held"
"""While the workspace has a file of this name, a job does not measure its last recipe."""


class PacedService:
    """A recipe is the name of its point."""

    on_cpu = True

    def __init__(self, workspace: Path, device: str, compute_dtype: str | None) -> None:
        self._held = workspace / HELD

    def run(self, job: Job, emit: Emit, tick: Callable[[], None]) -> Mapping[str, Any]:
        have = set(job.payload.get("have", ()))
        points = [each for each in job.payload["recipes"] if row_id(each) not in have]
        missing = {place: [row_id(point)] for place, point in enumerate(points)}

        def elsewhere(place: int) -> None:
            emit("there", {"point": points[place]})

        turns = Turns(missing, emit, tick, elsewhere)
        for turn in turns:
            with contextlib.suppress(TakenOver):
                for _ in range(3):
                    time.sleep(0.002)
                    turn.tick()
                while turns.left == 1 and self._held.exists():
                    time.sleep(0.002)
                    turn.tick()
                emit("progress", {"done": len(points) - turns.left, "total": len(points)})
                emit("result", {"row": row(points[turn.key])})
                turn.measured(row_id(points[turn.key]))
        return {"points": job.payload["recipes"]}

    def park(self) -> Callable[[], None]:
        return lambda: None

    def rest(self) -> None: ...

    def close(self) -> None: ...


def row(point: str) -> dict[str, Any]:
    return {
        "kind": "score",
        "id": row_id(point),
        "point": point,
        "recipe": {"method": "single", "coefficients": {}, "parameters": {"model": point}},
        "family": FAMILY,
        "objective": "paced",
        "objective_fingerprint": OBJECTIVE,
        "scorer": "cost",
        "split": "explore",
        "numerics": NUMERICS,
        "n": 3,
        "mean": 1.0,
        "values": [0.5, 1.0, 1.5],
        "seconds": 0.006,
    }
