"""mergekit's YAML, read and written where both sides know the method (mergekit 0.1.5).

    task_arithmetic   w_i, optionally ÷ Σ w (normalize), × lambda, on task vectors
    linear            Σ w_m θ_m, ÷ Σ w unless normalize: false

A setting is a number, a gradient (numbers spread over the depth), or a list of {filter, value}
whose first matching tensor-name substring counts. Anything else in the file is refused by name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import BadInput, Problem, bad, unknown
from engine.export.card import hub_id
from engine.family.compatibility import Family
from engine.parameter import is_number
from engine.recipe import METHODS, Recipe, find_method
from engine.study_file import model_of
from engine.yaml_writing import dumped

_KEYS = ("merge_method", "models", "base_model", "parameters", "dtype", "out_dtype")
_MODEL_KEYS = ("model", "parameters")
_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks?|layer)\.(\d+)\.")
# they change how mergekit stores or schedules, never the result
_HARMLESS = ("int8_mask",)


@dataclass(frozen=True)
class MergekitPlan:
    """A mergekit merge as weights of full models, per tensor.

    Attributes:
        base: directory whose configuration the result takes.
        models: name -> directory, the base left out.
        weights: name (or "base") -> mergekit setting.
        delta: whether the weights act on task vectors.
    """

    base: Path
    models: Mapping[str, Path]
    weights: Mapping[str, Any]
    delta: bool
    normalize: bool
    scale: Any
    dtype: str | None
    path: str

    def coefficients(self, tensor: str, layers: int) -> dict[str, float]:
        """Weight of every model, "base" included, for one tensor; `layers` is the depth."""
        layer = layer_of(tensor)
        depth = 0.0
        if layer is not None:
            depth = layer / (layers - 1) if layers > 1 else 1.0
        where = f"{self.path}: weight"
        weights = {
            name: setting_at(setting, tensor, depth, f"{where} of {name}")
            for name, setting in self.weights.items()
        }
        total = math.fsum(weights.values())
        if self.normalize:
            if abs(total) < 1e-8:
                if not self.delta:
                    what = f"the weights sum to 0 at {tensor} and normalize divides by that sum"
                    raise bad(where, what, "Change a weight, or set normalize: false.")
                total = 1.0
            weights = {name: value / total for name, value in weights.items()}
        if not self.delta:
            return {"base": 0.0, **dict.fromkeys(self.models, 0.0), **weights}
        scale = setting_at(self.scale, tensor, depth, f"{self.path}: lambda")
        weights = {name: value * scale for name, value in weights.items() if name != "base"}
        return {"base": 1.0 - math.fsum(weights.values()), **weights}


def layer_of(tensor: str) -> int | None:
    """The layer that a tensor belongs to, by its name; None outside the layers."""
    match = _LAYER.search(tensor)
    return int(match[1]) if match else None


def setting_at(setting: Any, tensor: str, depth: float, where: str) -> float:
    """Value of a mergekit setting at a tensor.

    Args:
        depth: 0 for the first layer and what lies outside the layers, 1 for the last.

    Raises:
        BadInput: it is neither a number, a gradient nor filters, or no filter matches.
    """
    if isinstance(setting, Mapping):
        setting = [setting]
    if isinstance(setting, list) and setting and all(isinstance(e, Mapping) for e in setting):
        for each in setting:
            for key in each:
                if key not in ("filter", "value"):
                    raise unknown(where, "key of a filter", str(key), ("filter", "value"))
        matching = (
            e for e in setting if e.get("filter") in (None, "*") or str(e["filter"]) in tensor
        )
        found = next(matching, None)
        if found is None:
            raise bad(where, f"no filter matches {tensor}", "Add a last entry without a filter.")
        setting = found.get("value")
    values = setting if isinstance(setting, list) else [setting]
    if not values or not all(is_number(each) for each in values):
        what = f"{setting!r} is neither a number, a gradient nor a list of filters"
        raise bad(where, what, "Write 0.5, [0, 1] or [{filter: mlp, value: 0.5}, {value: 1}].")
    position = depth * (len(values) - 1)
    first = int(position)
    second = min(len(values) - 1, first + 1)
    part = position - first
    return (1 - part) * float(values[first]) + part * float(values[second])


def _falling_back(own: Any, shared: Any) -> Any:
    """A model's setting; where none of its filters matches, the file's shared one counts."""
    if own is None or shared is None:
        return shared if own is None else own
    own = [own] if isinstance(own, Mapping) else own
    if not isinstance(own, list) or not all(isinstance(each, Mapping) for each in own):
        return own
    shared = [shared] if isinstance(shared, Mapping) else shared
    if isinstance(shared, list) and all(isinstance(each, Mapping) for each in shared):
        return [*own, *shared]
    return [*own, {"value": shared}]


def read_mergekit(data: Mapping[str, Any], file: Path) -> MergekitPlan:
    """The plan of a parsed mergekit YAML.

    Raises:
        BadInput: a method, key or parameter that is not read here, each by name.
    """
    method = data.get("merge_method")
    read = {name: each.mergekit for name, each in METHODS.items() if each.mergekit}
    if method not in tuple(read):  # whatever YAML has there
        raise unknown(f"{file}: merge_method", "mergekit method read here", str(method), read)
    delta = read[method] == "task vectors"
    problems: list[Problem] = []
    for key in data:
        if key not in _KEYS:
            fix = f"Read here: {', '.join(_KEYS)}."
            problems.append(Problem(f"{file}: {key}", "this mergekit key is not supported", fix))
    allowed = ("weight", "normalize", *(("lambda",) if delta else ()))
    shared = _mapping(data.get("parameters"), f"{file}: parameters", problems)
    if not isinstance(shared.get("normalize", True), bool):
        what = f"{shared['normalize']!r} is not supported here"
        problems.append(Problem(f"{file}: normalize", what, "Write true or false."))
    for name in shared:
        if name not in (*allowed, *_HARMLESS):
            problems.extend(
                unknown(f"{file}: parameters", "parameter read here", name, allowed).problems
            )
    rows = data.get("models")
    if not isinstance(rows, list) or not rows:
        problems.append(
            Problem(f"{file}: models", "no models are listed", "List them under models:.")
        )
        raise BadInput(*problems)
    base = data.get("base_model")
    base_path = None
    if base is not None and not isinstance(base, str):
        what = f"expected a path, got {base!r}"
        problems.append(Problem(f"{file}: base_model", what, "Give a directory."))
    elif base is not None:
        base_path = model_of(base, file.parent, f"{file}: base_model")
    if base_path is None and delta:
        problems.append(Problem(f"{file}: base_model", f"{method} needs it", "Name the base."))
    models: dict[str, Path] = {}
    weights: dict[str, Any] = {}
    for index, row in enumerate(rows):
        if not isinstance(row, Mapping) or not isinstance(row.get("model"), str):
            what = "the key 'model' is missing"
            problems.append(Problem(f"{file}: models[{index}]", what, "Give a directory."))
            continue
        for key in row:
            if key not in _MODEL_KEYS:
                what = f"the key {key!r} is not supported"
                problems.append(
                    Problem(f"{file}: models[{index}]", what, "Use model and parameters.")
                )
        own = _mapping(row.get("parameters"), f"{file}: models[{index}].parameters", problems)
        for name in own:
            if name not in (*allowed, *_HARMLESS):
                where = f"{file}: models[{index}].parameters"
                problems.extend(unknown(where, "parameter read here", name, allowed).problems)
        path = model_of(row["model"], file.parent, f"{file}: models[{index}]")
        if base_path is None:
            base_path = path
        is_base = path == base_path and "base" not in weights
        name = "base" if is_base else f"{path.name or 'model'}-{index}"
        weight = _falling_back(own.get("weight"), shared.get("weight"))
        if weight is None and not (is_base and delta):
            problems.append(Problem(f"{file}: models[{index}]", "'weight' is missing", "Give one."))
        if not is_base:
            models[name] = path
        if not (is_base and delta):
            weights[name] = weight
    if not delta and "base" not in weights:  # mergekit takes an unlisted base in
        weights["base"] = shared.get("weight")
        if weights["base"] is None:
            what = "it is not listed under models, so it has no weight"
            problems.append(
                Problem(
                    f"{file}: base_model", what, "List it, with weight 0 if it should not count."
                )
            )
    if problems or base_path is None:
        raise BadInput(*problems)
    return MergekitPlan(
        base=base_path,
        models=models,
        weights=weights,
        delta=delta,
        normalize=shared.get("normalize", not delta),
        scale=shared.get("lambda", 1.0),
        dtype=data.get("out_dtype") or data.get("dtype"),
        path=str(file),
    )


def _mapping(data: Any, where: str, problems: list[Problem]) -> dict[str, Any]:
    if data is None or isinstance(data, Mapping):
        return {str(name): value for name, value in (data or {}).items()}
    problems.append(Problem(where, f"expected a mapping, got {data!r}", "Write name: value."))
    return {}


def to_mergekit(recipe: Recipe, places: Mapping[str, str], dtype: str) -> str | None:
    """mergekit YAML with the same result as a resolved recipe, or None if mergekit has none.

    Args:
        places: "base" and expert names -> what to write as the model (a hub id or a name).
    """
    weighed = find_method(recipe.method).mergekit
    if weighed is None:
        return None
    strength = float(recipe.parameters.get("strength", 1.0))
    weights = {name: value * strength for name, value in recipe.coefficients.items()}
    delta = weighed == "task vectors"
    head = {"base_model": places["base"]} if delta else {}
    shared = {"normalize": not delta}
    document = {
        "merge_method": recipe.method,
        **head,
        "models": [
            {"model": places[name], "parameters": {"weight": weight}}
            for name, weight in weights.items()
            if weight != 0.0
        ]
        or [{"model": places[next(iter(weights))], "parameters": {"weight": 0.0}}],
        "parameters": shared,
        "dtype": "float32",
        "out_dtype": dtype,
    }
    return dumped(document)


def mergekit_text(recipe: Recipe, family: Family) -> str | None:
    """mergekit_config.yml of a recipe's export; None if mergekit has no such merge."""
    spec = family.spec
    places = {name: hub_id(spec.path_of(name)) or f"./{name}" for name in ("base", *spec.experts)}
    models = (family.base, *family.experts.values())
    # mergekit takes "model+adapter" for an adapter, and cuts or skips where rows differ
    if any(each.is_adapter or each.rows != family.base.rows for each in models):
        return None
    beside = family.base.ignored | (family.base.towers if spec.towers == "base" else set())
    if beside:  # mergekit merges every tensor, other towers and what no class uses among them
        return None
    return to_mergekit(recipe, places, family.base.dtype)
