"""The job "best": the coefficients of a logit-space method that make a likelihood best, found and
not searched for (`engine.decoding.newton`)."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.decoding.fusion import Mixture
from engine.decoding.inputs import Tick
from engine.decoding.newton import Likelihood, Quadratic, Region, minimise
from engine.errors import BadInput, bad
from engine.jobs.evaluating import checked_objectives
from engine.jobs.models import Models, study_of
from engine.jobs.preparing import telling
from engine.jobs.served import Emit
from engine.method import Method
from engine.recipe import Recipe, find_method, resolve
from engine.scoring.plan import tasks
from engine.search.designs import DIGITS
from engine.study import Objective, Study

SCORERS = ("nll", "perplexity")


def find_best(
    models: Models, payload: Mapping[str, Any], emit: Emit, tick: Tick
) -> Mapping[str, Any]:
    """The best recipe of a method on an objective, within the study's slider ranges.

    Args:
        payload: study: path; method; objective: name; parameters: of the method ({}).

    Returns:
        recipe: resolved, its coefficients rounded as designed ones are; steps: of Newton's method;
        value: nats per token at the optimum, not rounded.

    Raises:
        BadInput: the objective is no likelihood to be minimised, or the method's logits are not
            linear in its coefficients.
    """
    study = study_of(payload)
    [objective] = checked_objectives(study, [str(payload.get("objective"))])
    if objective.scorer not in SCORERS or objective.direction != "minimize":
        what = f"{objective.name} is not an nll or perplexity to be minimized"
        raise bad("--objective", what, "Only these have an optimum that can be computed.")
    method = find_method(str(payload.get("method")), "--method")
    parameters = dict(payload.get("parameters") or {})
    names = method.coefficient_names(study.family.names, parameters)
    region = region_of(study, method, names)
    with models.families.use(study.family, tick) as opened:

        def recipe(values: Sequence[float]) -> Recipe:
            coefficients = dict(zip(names, values, strict=True))
            return resolve(Recipe(method.name, coefficients, parameters), study.family.names)

        weights = linear_weights(method, recipe, len(names), opened.family.names)
        told = telling(opened.composer, emit, tick)
        model = opened.composer.compose(recipe(weights.inside), told)
        task = tasks(model, [objective], "explore")[0]
        contexts = [prompt for ((prompt, _),) in task.pairs]
        targets = [target for ((_, target),) in task.pairs]
        total = sum(map(len, targets))
        shares = [
            1.0 / total if objective.scorer == "perplexity" else 1.0 / (len(each) * len(targets))
            for each in targets
        ]
        likelihood = Likelihood(model, contexts, targets, shares, task.own, tick=tick)
        steps = weights.steps

        def function(coefficients: Tensor) -> Quadratic:
            found = likelihood.at(weights.start + steps @ coefficients)
            return Quadratic(
                found.value, steps.t() @ found.gradient, steps.t() @ found.hessian @ steps
            )

        def said(count: int, value: float) -> None:
            emit("progress", {"stage": f"step {count + 1}: {value:.6g} nats per token"})

        found = minimise(function, region, said)
        best = recipe([round(each, DIGITS) + 0.0 for each in found.coefficients])
        return {"recipe": best.as_dict(), "steps": found.steps, "value": found.value}


def has_optimum(study: Study, recipe: Recipe, objective: Objective) -> bool:
    """Whether the best recipe of a recipe's method and parameters can be computed."""
    if objective.scorer not in SCORERS or objective.direction != "minimize":
        return False
    method, names = find_method(recipe.method), study.family.names

    def made(values: Sequence[float]) -> Recipe:
        coefficients = dict(zip(recipe.coefficients, values, strict=True))
        return resolve(Recipe(method.name, coefficients, recipe.parameters), names)

    try:
        region_of(study, method, list(recipe.coefficients))
        linear_weights(method, made, len(recipe.coefficients), names)
    except BadInput:
        return False
    return True


def region_of(study: Study, method: Method, names: Sequence[str]) -> Region:
    """The slider ranges of a method; on a simplex those coefficients that add up to one.

    Raises:
        BadInput: the method has no coefficients, or none within the ranges add up to one.
    """
    if not names:
        raise bad("--method", f"{method.name} has no coefficients", "Choose one with sliders.")
    low, high = zip(*(study.slider_range(method, name) for name in names), strict=True)
    region = Region(low, high, method.simplex)
    if region.empty:
        what = f"no coefficients of {method.name} within the study's ranges add up to one"
        raise bad("ranges", what, "Widen them.")
    return region


@dataclass(frozen=True)
class Weights:
    """The models' weights as they follow from the coefficients: start + steps · c.

    Attributes:
        start: float64 [models]; steps: float64 [models, coefficients].
        inside: coefficients with which every model takes part.
    """

    start: Tensor
    steps: Tensor
    inside: tuple[float, ...]


def linear_weights(
    method: Method, recipe: Callable[[Sequence[float]], Recipe], count: int, names: Any
) -> Weights:
    """The weights of a method's models as a linear function of `count` coefficients.

    Raises:
        BadInput: they are not, or the logits are not combined linearly.
    """

    def mixture(values: Sequence[float]) -> Mixture:
        made = recipe(values)
        found = method.build(made.coefficients, names, **dict(made.parameters))
        if not isinstance(found, Mixture) or found.kind != "linear":
            raise refused
        return found

    refused = bad(
        "--method",
        f"the logits of {method.name} are not linear in its coefficients",
        "Use proxy_tuning, arm_guidance, or logit_fusion with kind reverse_kl.",
    )
    if method.space != "logit" or method.unmerged:
        raise refused
    source = random.Random(0)
    tried = [[source.uniform(0.1, 0.9) for _ in range(count)] for _ in range(3)]
    if method.simplex:
        tried = [[value / math.fsum(each) for value in each] for each in tried]
    passes = mixture(tried[0]).passes

    def weights(values: Sequence[float]) -> Tensor:
        made = mixture(values)
        known = dict(zip(made.passes, made.weights, strict=True))
        if not set(known) <= set(passes):
            raise refused
        return torch.tensor([known.get(each, 0.0) for each in passes], dtype=torch.float64)

    units = [[float(i == j) for j in range(count)] for i in range(count)]
    start = torch.zeros(len(passes), dtype=torch.float64)
    if not method.simplex:
        start = weights([0.0] * count)
    steps = torch.stack([weights(each) - start for each in units], 1)
    for each in tried:
        values = torch.tensor(each, dtype=torch.float64)
        if not torch.allclose(weights(each), start + steps @ values, rtol=0.0, atol=1e-9):
            raise refused
    return Weights(start, steps, tuple(tried[0]))
