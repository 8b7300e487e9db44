"""What the engine does for jobs: opens families, and hands each kind of job to its function.

    open       check, fingerprint, numerics      evaluating.open_study
    evaluate   recipes × objectives → rows       evaluating.evaluate_recipes    (sweep: the same)
    generate   prompts → texts                   generating.generate_texts
    export     recipe → directory                exporting.export_recipe
    merge      merge file → checkpoint           exporting.merge_checkpoints

A job's function gets the service, the payload, `emit` and `tick`; it holds no state of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import engine
from cache.blobs import Blobs
from engine.compose import pick_device
from engine.decoding.inputs import Tick
from engine.errors import bad, unknown
from engine.recipe import Recipe, recipe_from_dict, resolve
from engine.run.opened import OpenFamilies, OpenFamily
from engine.run.protocol import Emit, Job
from engine.study import Study, load_study

assert engine.merging and engine.decoding  # importing them registers every method

Run = Callable[["Service", Mapping[str, Any], Emit, Tick], Mapping[str, Any]]


class Service:
    """Runs jobs on models; one for each executor, on one thread.

    Args:
        workspace: fingerprints are remembered and texts kept there.
        device: "auto", "cpu", "cuda", …
        compute_dtype: None for the device's default.

    Raises:
        BadInput: the device is not there.
    """

    def __init__(
        self, workspace: Path, device: str = "auto", compute_dtype: str | None = None
    ) -> None:
        self.workspace = workspace
        self.device = device
        self.on_cpu = pick_device(device).type == "cpu"
        self.families = OpenFamilies(workspace, device, compute_dtype)
        self._blobs: Blobs | None = None

    @property
    def blobs(self) -> Blobs:
        """Where texts are kept; opened when first needed, by the thread that runs jobs."""
        if self._blobs is None:
            self._blobs = Blobs(self.workspace)
        return self._blobs

    def run(self, job: Job, emit: Emit, tick: Tick) -> Mapping[str, Any]:
        """The result of a job.

        Raises:
            BadInput: what the job asks for cannot be done.
            Cancelled: `tick` said so.
        """
        jobs = kinds()
        if job.kind not in jobs:
            raise unknown("job", "kind of job", job.kind, jobs)
        emit("loading")
        return jobs[job.kind](self, job.payload, emit, tick)

    def park(self) -> Callable[[], None]:
        return self.families.park()

    def close(self) -> None:
        self.families.close()
        if self._blobs is not None:
            self._blobs.close()
            self._blobs = None


def kinds() -> dict[str, Run]:
    """Every kind of job with its function."""
    from engine.run import evaluating, exporting, generating

    return {
        "open": evaluating.open_study,
        "evaluate": evaluating.evaluate_recipes,
        "sweep": evaluating.evaluate_recipes,
        "generate": generating.generate_texts,
        "export": exporting.export_recipe,
        "merge": exporting.merge_checkpoints,
    }


def study_of(payload: Mapping[str, Any]) -> Study:
    """The study that a payload names by its file; raises `BadInput`."""
    if not isinstance(payload.get("study"), str):
        raise bad("job", "it names no study", "Give the path of a study file.")
    return load_study(payload["study"])


def recipe_of(data: Any, opened: OpenFamily, where: str = "recipe") -> Recipe:
    """The recipe that a payload holds, resolved on a family; raises `BadInput`."""
    recipe = data if isinstance(data, Recipe) else recipe_from_dict(data, where)
    return resolve(recipe, opened.family.names, where)
