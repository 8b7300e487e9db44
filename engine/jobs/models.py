"""What a job runs on: workspace, device, open families, kept texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from cache.blobs import Blobs
from engine.errors import bad
from engine.family.device import pick_device
from engine.jobs.imports import fetch_model_classes
from engine.jobs.opened import OpenFamilies, OpenFamily
from engine.recipe import Recipe, recipe_from_dict, resolve
from engine.scoring.harmful import rows_of
from engine.study import Study, load_study
from engine.study_reference import reference_study


class Models:
    """One for each executor, on one thread.

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

    def park(self) -> Callable[[], None]:
        """Remember what is live; the function returned puts it back."""
        return self.families.park()

    def rest(self) -> None:
        """Fetch what a job that runs a model needs."""
        fetch_model_classes()

    def close(self) -> None:
        self.families.close()
        if self._blobs is not None:
            self._blobs.close()
            self._blobs = None


def study_of(payload: Mapping[str, Any]) -> Study:
    """The study that a payload names by its file, or one of its references as a study of its own;
    raises `BadInput`."""
    if not isinstance(payload.get("study"), str):
        raise bad("job", "it does not name a study", "Give the path of a study file.")
    study = load_study(payload["study"])
    if payload.get("reference") is None:
        return study
    return reference_study(study, str(payload["reference"]))[0]


def recipe_of(data: Any, opened: OpenFamily, study: Study, where: str = "recipe") -> Recipe:
    """The recipe that a payload holds, resolved on a study's open family, whose composer learns the
    rows that it prunes on; raises `BadInput`."""
    given = data if isinstance(data, Recipe) else recipe_from_dict(data, where)
    if given.prune is None:
        return resolve(given, opened.family.names, where)
    rows = rows_of(study, opened.family, opened.tokenizer_hash)
    recipe = resolve(given, replace(opened.family.names, rows=rows), where)
    if (prune := recipe.prune) is not None:
        opened.composer.pruner.learn(prune, partial(rows.texts, prune.objective, prune.rows))
    return recipe
