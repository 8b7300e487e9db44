"""`suggest` by Gaussian processes of BoTorch, the extra of requirements-bo.txt; the worker's alone.

One process an objective on the scale of its link (ModelListGP), the noise of each point given by
its own rows, hyperparameters by the marginal likelihood. Its joint draws take the place of the
quadratic's; what is chosen by them is the same (improvement.py).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from botorch.exceptions import InputDataWarning
from botorch.fit import fit_gpytorch_mll
from botorch.models import ModelListGP, SingleTaskGP
from botorch.models.transforms import Standardize
from gpytorch.mlls import SumMarginalLogLikelihood
from linear_operator.utils.warnings import NumericalWarning

from engine.search.links import linked, unlinked
from engine.search.posterior import scaled
from engine.search.quadratic import Floats
from engine.search.suggest import DRAWS, Arm, Goal, commonest


def by_processes(
    arm: Arm, goals: Sequence[Goal], positions: Floats, rng: np.random.Generator
) -> Floats:
    """`Draw` by a Gaussian process an objective; as `engine.search.suggest.by_quadratic`."""
    found = np.empty((DRAWS, len(positions), len(goals)))
    models, fitted, counts = [], [], []
    for column, goal in enumerate(goals):
        known = np.isfinite(arm.mean[:, column])
        scores = arm.mean[known, column]
        if goal.exact:
            found[:, :, column] = commonest(scores)
            continue
        spread = (arm.n if goal.link == "logit" else arm.stderr)[known, column]
        values, variance = linked(scores, spread, goal.link)
        places = 0.5 + 0.5 * scaled(arm.places[known], arm.ranges, arm.simplex)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputDataWarning)  # a place outside the ranges
            models.append(
                SingleTaskGP(
                    torch.from_numpy(places),
                    torch.from_numpy(values)[:, None],
                    torch.from_numpy(variance)[:, None],
                    outcome_transform=Standardize(1),
                )
            )
        fitted.append(column)
        counts.append(float(np.median(spread)))
    if not models:
        return found
    model = ModelListGP(*models)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", NumericalWarning)  # jitter, where draws lie close
        torch.manual_seed(int(rng.integers(2**31)))
        fit_gpytorch_mll(SumMarginalLogLikelihood(model.likelihood, model))
        here = torch.from_numpy(0.5 + 0.5 * scaled(positions, arm.ranges, arm.simplex))
        with torch.no_grad():
            drawn = model.posterior(here).rsample(torch.Size([DRAWS])).numpy()
    for place, column in enumerate(fitted):
        goal = goals[column]
        found[:, :, column] = unlinked(drawn[:, :, place], goal.link, counts[place], goal.least)
    return found
