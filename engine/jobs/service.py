"""What the engine does for jobs: opens families, and hands each kind of job to its function.

    open       check, fingerprint, numerics      evaluating.open_study
    evaluate   recipes × objectives → rows       measuring.evaluate_recipes    (sweep: the same)
    generate   prompts → texts                   generating.generate_texts
    compare    prompts × recipes → texts         comparing.compare_texts
    map        a slider's values → texts         mapping.map_texts
    attribute  texts → what moved each token     attributing.attribute_texts
    export     recipe → directory                exporting.export_recipe
    design     designs → recipes                 designing.design_recipes
    estimate   a recipe a group → seconds        designing.estimate_recipes
    best       method × likelihood → its best recipe  optimising.find_best
    improve    a point → a better one            improving.improve_recipe
    fill       a method's surface at once        filling.fill_surface
    geometry   norms and angles of task vectors  geometry.measure_geometry
    preview    examples of a new objective       previewing.preview_objective
    suggest    what is measured → the next batch suggesting.suggest_recipes

A job's function gets the models, the payload, `emit` and `tick`; it holds no state of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import engine
from engine.decoding.inputs import Tick
from engine.errors import unknown
from engine.jobs.attributing import attribute_texts
from engine.jobs.comparing import compare_texts
from engine.jobs.designing import design_recipes, estimate_recipes
from engine.jobs.evaluating import open_study
from engine.jobs.exporting import export_recipe
from engine.jobs.filling import fill_surface
from engine.jobs.generating import generate_texts
from engine.jobs.geometry import measure_geometry
from engine.jobs.improving import improve_recipe
from engine.jobs.mapping import map_texts
from engine.jobs.measuring import evaluate_recipes
from engine.jobs.models import Models
from engine.jobs.optimising import find_best
from engine.jobs.previewing import preview_objective
from engine.jobs.served import Emit
from engine.jobs.suggesting import suggest_recipes
from engine.worker.messages import Job

assert engine.merging and engine.decoding  # importing them registers every method

Run = Callable[[Models, Mapping[str, Any], Emit, Tick], Mapping[str, Any]]

KINDS: dict[str, Run] = {
    "open": open_study,
    "evaluate": evaluate_recipes,
    "sweep": evaluate_recipes,
    "generate": generate_texts,
    "compare": compare_texts,
    "map": map_texts,
    "attribute": attribute_texts,
    "export": export_recipe,
    "design": design_recipes,
    "estimate": estimate_recipes,
    "best": find_best,
    "improve": improve_recipe,
    "fill": fill_surface,
    "geometry": measure_geometry,
    "preview": preview_objective,
    "suggest": suggest_recipes,
}


class Service(Models):
    """Runs jobs on models."""

    def run(self, job: Job, emit: Emit, tick: Tick) -> Mapping[str, Any]:
        """The result of a job.

        Raises:
            BadInput: what the job asks for cannot be done.
            Cancelled: `tick` said so.
        """
        if job.kind not in KINDS:
            raise unknown("job", "kind of job", job.kind, KINDS)
        emit("loading")
        if job.kind != "open":
            self.rest()
        return KINDS[job.kind](self, job.payload, emit, tick)
