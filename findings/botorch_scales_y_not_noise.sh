#!/usr/bin/env bash
# botorch's condition_on_observations on a model with Standardize takes Y in the user's units and its
# noise in standardised ones: the same data in other units give another posterior.
#
# Versions: botorch 0.18.1, gpytorch 1.15.2, torch 2.13.0 (CPU), scipy 1.17.0, numpy 2.4.6, Python 3.11.
# Behaviour: SingleTaskGP(X, Y, Yvar, outcome_transform=Standardize(1)) divides Yvar by the variance of Y.
#   condition_on_observations(X, Y, noise=...) puts the new Y through the same transform, and leaves the
#   new noise as it is. So where Y is large a new measurement is all but ignored, and where Y is small
#   it is trusted far too much. Shapes agree and nothing is raised or warned of. Dividing the noise by
#   outcome_transform.stdvs ** 2 by hand gives the posterior of the larger data set exactly.
# Likely guess: Y and noise of a new observation are given in the units of the constructor's Y and Yvar.
# Why it matters here: scores with known standard errors are added to a surrogate one at a time; their
#   errors have to reach it in its own units.
# Seen on 2026-11-29 (mean and deviation at the new point, all turned back into the first unit):
#   the larger data set: mean 1.842, deviation 0.122
#   unit 1: mean 2.646, deviation 0.105; noise scaled by hand: mean 1.842, deviation 0.122
#   unit 100: mean -0.040, deviation 0.154; noise scaled by hand: mean 1.842, deviation 0.122
# Exit: 0 while this holds, 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 botorch==0.18.1 gpytorch==1.15.2 \
  scipy==1.17.0 numpy==2.4.6 2> "$folder/pip.txt" || { cat "$folder/pip.txt"; exit 1; }
cd "$folder"
"$folder/venv/bin/python" - 2> log.txt <<'PYTHON' || { tail -5 log.txt; exit 1; }
import sys

import torch
from botorch.models import SingleTaskGP
from botorch.models.transforms import Standardize

torch.set_default_dtype(torch.float64)
x = torch.linspace(0, 1, 8)[:, None]
y, variance = torch.sin(6 * x), torch.full_like(x, 0.04)
x_new, y_new, variance_new = (torch.tensor([[number]]) for number in (0.53, 5.0, 0.04))


def at_new(model, unit):
    with torch.no_grad():
        found = model.posterior(x_new)
    return found.mean.item() / unit, found.variance.sqrt().item() / unit


def words(pair):
    return "mean {:.3f}, deviation {:.3f}".format(*pair)


# One data set of nine points, scaled as the eight are; no hyperparameter is fitted in any model.
shift, scale = y.mean(), y.std()
both = torch.cat([y, y_new]), torch.cat([variance, variance_new])
whole = SingleTaskGP(
    torch.cat([x, x_new]), (both[0] - shift) / scale, both[1] / scale**2, outcome_transform=None
)
mean, deviation = at_new(whole, 1)
exact = (mean * scale + shift).item(), (deviation * scale).item()
print(f"the larger data set: {words(exact)}")

holds = []
for unit in (1, 100):
    model = SingleTaskGP(x, y * unit, variance * unit**2, outcome_transform=Standardize(1))
    model.posterior(x)  # fills the caches that conditioning needs
    noise = variance_new * unit**2
    as_given = at_new(model.condition_on_observations(x_new, y_new * unit, noise=noise), unit)
    scaled = noise / model.outcome_transform.stdvs**2
    by_hand = at_new(model.condition_on_observations(x_new, y_new * unit, noise=scaled), unit)
    print(f"unit {unit}: {words(as_given)}; noise scaled by hand: {words(by_hand)}")
    holds += [abs(as_given[0] - exact[0]) > 0.5, abs(by_hand[0] - exact[0]) < 1e-3]
sys.exit(not all(holds))
PYTHON
