"""A service without models, for tests of the executors: `weights` stands for the live model that
jobs rewrite."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engine.errors import bad
from engine.jobs.served import Emit
from engine.worker.messages import Job


class StubService:
    """Scores a recipe (a number) as the sum of what it reads from its weights at each of its
    steps."""

    on_cpu = True

    def __init__(self, workspace: Path, device: str, compute_dtype: str | None) -> None:
        if device == "nowhere":
            raise bad("device", "there is no 'nowhere'", "Use cpu.")
        self.weights = 0.0

    def run(self, job: Job, emit: Emit, tick: Callable[[], None]) -> Mapping[str, Any]:
        run: Callable[[Mapping[str, Any], Emit, Callable[[], None]], Mapping[str, Any]]
        run = getattr(self, job.kind)
        return run(job.payload, emit, tick)

    def park(self) -> Callable[[], None]:
        weights = self.weights

        def put_back() -> None:
            self.weights = weights

        return put_back

    def rest(self) -> None: ...

    def close(self) -> None:
        self.weights = 0.0

    def evaluate(
        self, payload: Mapping[str, Any], emit: Emit, tick: Callable[[], None]
    ) -> Mapping[str, Any]:
        recipes = [each for each in payload["recipes"] if str(each) not in payload.get("have", ())]
        for done, recipe in enumerate(recipes):
            self.weights = recipe
            values = []
            for _ in range(payload.get("steps", 2)):
                time.sleep(payload.get("seconds", 0.001))
                tick()
                values.append(self.weights)
            emit("progress", {"done": done + 1, "total": len(recipes)})
            row = {"kind": "score", "id": str(recipe), "mean": sum(values), "values": values}
            emit("result", {"row": row})
        return {"points": [str(each) for each in recipes], "pid": os.getpid()}

    sweep = evaluate

    def refuse(self, *_: object) -> Mapping[str, Any]:
        raise bad("study.yaml:3", "there is no expert named 'helpfull'", "Did you mean helpful?")

    def crash(self, *_: object) -> Mapping[str, Any]:
        raise RuntimeError("a fault of ours")

    def exhaust(self, payload: Mapping[str, Any], *_: object) -> Mapping[str, Any]:
        if payload.get("torch"):
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
        raise MemoryError

    def unsayable(self, *_: object) -> Mapping[str, Any]:
        return {"mean": float("nan")}

    def die(self, payload: Mapping[str, Any], *_: object) -> Mapping[str, Any]:
        os._exit(payload["code"])

    def load(
        self, payload: Mapping[str, Any], emit: Emit, tick: Callable[[], None]
    ) -> Mapping[str, Any]:
        """Ticks, then loads for some time without a quantum, then ticks again."""
        tick()
        emit("loading")
        time.sleep(payload["seconds"])
        tick()
        return {}

    def stick(
        self, payload: Mapping[str, Any], _: Emit, tick: Callable[[], None]
    ) -> Mapping[str, Any]:
        """Ticks once, then never again."""
        tick()
        time.sleep(payload.get("seconds", 60))
        return {}

    def stream(
        self, payload: Mapping[str, Any], emit: Emit, tick: Callable[[], None]
    ) -> Mapping[str, Any]:
        text = ""
        for word in range(payload["words"]):
            text += f"{word} "
            emit("text", {"texts": {"0": text}})
            time.sleep(0.001)
            tick()
        return {"text": text}
