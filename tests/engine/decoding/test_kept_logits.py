"""From kept logits a mixture's likelihood and slopes are those of running the models for it."""

from __future__ import annotations

import pytest
import torch

from engine.compose import Composer
from engine.decoding.kept_logits import KeptLikelihood, bytes_kept
from engine.decoding.newton import Likelihood
from engine.family.compatibility import open_family
from engine.recipe import Recipe, resolve
from engine.scoring.registry import check_objective
from engine.scoring.slopes import loss_of
from engine.study import load_study
from tests.engine.jobs.small import build_small_study


def test_kept_logits_say_what_the_models_say(tmp_path):
    study = load_study(build_small_study(tmp_path, adapter=True))
    composer = Composer(open_family(study.family), device="cpu")
    recipe = Recipe("proxy_tuning", {"helpful": 0.5, "terse": 0.3})
    model = composer.compose(resolve(recipe, study.family.names))
    loss = loss_of(model, check_objective(study.objective("loss"), study.path))
    texts = model, loss.contexts, loss.targets, loss.shares, loss.own
    kept, run = KeptLikelihood(*texts), Likelihood(*texts)
    for weights in ([1.0, 0.0, 0.0], [0.2, 0.5, 0.3], [-0.4, 1.1, 0.7]):
        at = torch.tensor(weights, dtype=torch.float64)
        value, gradient = kept.at(at)
        expected = run.at(at)
        assert value == pytest.approx(expected.value, rel=1e-12)
        assert gradient.tolist() == pytest.approx(expected.gradient.tolist(), rel=1e-10, abs=1e-12)
    step = torch.tensor([0.0, 1e-5, 0.0], dtype=torch.float64)
    slope = (kept.at(at + step)[0] - kept.at(at - step)[0]) / 2e-5
    assert float(gradient[1]) == pytest.approx(slope, rel=1e-6)
    assert bytes_kept(model, loss.targets) >= 4 * kept._logits.numel()
