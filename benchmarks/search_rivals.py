"""The searches that `suggest` is compared with, each as its users run it, on any function.

    random      uniform over the box
    sobol       scrambled Sobol points, as the sweep of that name
    tpe         Optuna's multi-objective TPE, defaults
    nsga2       pymoo's NSGA-II, population 20
    cmaes       CMA-ES on the equally weighted sum, from the middle, sigma 1/6 of the range and the
                package's own population, as mergekit-evolve starts it
    ga          Mergenetic's setting: pymoo's GA on the mean score, population 25, SBX and PM
    map         MAP (arXiv 2406.07529): quadratics behind a sigmoid, fitted to uniform points, the
                front of the fit by NSGA-II measured, refitted, again

Each is a function (ask, seed, budget): `ask(u)` measures positions u [n, 3] in the unit box and
gives scores [n, m], more being better. They need requirements-bench.txt.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ask = Callable[[Floats], Floats]

DIMENSIONS = 3
START, FRONT = 20, 10
"""Of MAP: uniform points first, then points of the fit's front a round."""


def random(ask: Ask, seed: int, budget: int) -> None:
    ask(np.random.default_rng(seed).uniform(size=(budget, DIMENSIONS)))


def sobol(ask: Ask, seed: int, budget: int) -> None:
    from torch.quasirandom import SobolEngine

    ask(SobolEngine(DIMENSIONS, scramble=True, seed=seed).draw(budget).double().numpy())


def tpe(ask: Ask, seed: int, budget: int) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=seed)
    outcomes = ask(np.full((1, DIMENSIONS), 0.5)).shape[1]
    study = optuna.create_study(directions=["maximize"] * outcomes, sampler=sampler)
    study.optimize(
        lambda trial: ask(
            np.array([[trial.suggest_float(str(i), 0.0, 1.0) for i in range(DIMENSIONS)]])
        )[0].tolist(),
        n_trials=budget - 1,
    )


def cmaes(ask: Ask, seed: int, budget: int) -> None:
    from cmaes import CMA

    bounds = np.array([[0.0, 1.0]] * DIMENSIONS)
    found = CMA(np.full(DIMENSIONS, 0.5), 1 / 6, bounds=bounds, seed=seed)
    for _ in range(budget // found.population_size + 1):
        asked = [found.ask() for _ in range(found.population_size)]
        sums = ask(np.array(asked)).mean(axis=1)
        found.tell([(x, -float(each)) for x, each in zip(asked, sums, strict=True)])


def _pymoo(ask: Ask, seed: int, budget: int, algorithm: object, outcomes: int) -> object:
    from pymoo.core.problem import Problem
    from pymoo.optimize import minimize

    class Asked(Problem):
        def __init__(self) -> None:
            super().__init__(n_var=DIMENSIONS, n_obj=outcomes, xl=0.0, xu=1.0)

        def _evaluate(self, x: Floats, out: dict[str, Floats], *_: object, **__: object) -> None:
            scores = -ask(x)
            out["F"] = scores if outcomes > 1 else scores.mean(axis=1, keepdims=True)

    return minimize(Asked(), algorithm, ("n_eval", budget), seed=seed, verbose=False)


def nsga2(ask: Ask, seed: int, budget: int) -> None:
    from pymoo.algorithms.moo.nsga2 import NSGA2

    _pymoo(ask, seed, budget, NSGA2(pop_size=20), 3)


def ga(ask: Ask, seed: int, budget: int) -> None:
    from pymoo.algorithms.soo.nonconvex.ga import GA
    from pymoo.operators.crossover.sbx import SBX
    from pymoo.operators.mutation.pm import PM

    _pymoo(ask, seed, budget, GA(pop_size=25, crossover=SBX(), mutation=PM()), 1)


def map_quadratic(ask: Ask, seed: int, budget: int) -> None:
    from pymoo.algorithms.moo.nsga2 import NSGA2

    from engine.search.quadratic import features

    rng = np.random.default_rng(seed)
    places = rng.uniform(size=(START, DIMENSIONS))
    scores = ask(places)
    while len(places) < budget:
        logits = np.log((scores + 0.01) / (1.01 - scores))
        beta, *_ = np.linalg.lstsq(features(places), logits, rcond=None)

        def fitted(u: Floats, beta: Floats = beta) -> Floats:
            return np.asarray(0.5 + 0.5 * np.tanh(0.5 * features(u) @ beta))

        result = _pymoo(fitted, seed, 2000, NSGA2(pop_size=40), scores.shape[1])
        front = np.atleast_2d(result.X)  # type: ignore[attr-defined]
        asked = front[rng.permutation(len(front))[:FRONT]]
        places, scores = np.vstack((places, asked)), np.vstack((scores, ask(asked)))


RIVALS: dict[str, Callable[[Ask, int, int], None]] = {
    "random": random,
    "sobol": sobol,
    "tpe": tpe,
    "nsga2": nsga2,
    "cmaes": cmaes,
    "ga": ga,
    "map": map_quadratic,
}
