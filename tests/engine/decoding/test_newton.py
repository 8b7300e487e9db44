"""The optimum of a fused likelihood: its derivatives, its bounds, and what a dense grid finds."""

from __future__ import annotations

import itertools

import pytest
import torch

from engine.decoding.fusion import Mixture
from engine.decoding.newton import Likelihood, Moments, Quadratic, Region, best_step, minimise

WEIGHTS = torch.tensor([0.6, 1.1, -0.5], dtype=torch.float64)


@pytest.fixture
def likelihood(tiny, runs, prompts):
    """Three models and 12 texts that the first of them finds likely, so that weights matter."""
    models = (tiny("llama", 1), tiny("llama", 2), tiny("qwen2", 3))
    model = runs(models, Mixture(("t", "a", "b"), (1.0, 1.0, 1.0)), 120, 124)
    source = torch.Generator().manual_seed(3)
    contexts, texts = prompts[:12], []
    for context in contexts:
        ids = list(context)
        for _ in range(int(torch.randint(1, 6, (1,), generator=source))):
            logits = sum(m(input_ids=torch.tensor([ids])).logits[0, -1, :120] for m in models[:2])
            share = (0.4 * logits).softmax(-1)
            ids.append(int(torch.multinomial(share, 1, generator=source)))
        texts.append(ids[len(context) :])
    total = sum(map(len, texts))
    return Likelihood(model, contexts, texts, [1.0 / total] * len(texts))


def test_gradient_and_hessian_are_finite_differences(likelihood):
    found = likelihood.at(WEIGHTS)
    size = 1e-4
    for place in range(3):
        move = torch.zeros(3, dtype=torch.float64)
        move[place] = size
        more, less = likelihood.at(WEIGHTS + move), likelihood.at(WEIGHTS - move)
        assert found.gradient[place] == pytest.approx(
            (more.value - less.value) / (2 * size), rel=1e-6
        )
        assert torch.allclose(
            found.hessian[place], (more.gradient - less.gradient) / (2 * size), rtol=1e-5, atol=1e-7
        )
    assert torch.allclose(found.hessian, found.hessian.t(), rtol=1e-12)
    assert torch.linalg.eigvalsh(found.hessian).min() >= 0


def test_a_planted_fault_is_noticed(likelihood, monkeypatch):
    right = Moments._moments

    def planted(self, logits, at, ids):
        found = right(self, logits, at, ids)
        found[2] += 1e-3
        return found

    monkeypatch.setattr(Moments, "_moments", planted)
    with pytest.raises(AssertionError):
        test_gradient_and_hessian_are_finite_differences(likelihood)


@pytest.mark.parametrize("high", [3.0, 0.15])
def test_the_optimum_is_that_of_a_dense_grid(likelihood, high):
    """Over a box, one side of which binds in the second case."""
    region = Region((0.0, 0.0), (high, high))

    def function(c):
        steps = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], dtype=torch.float64)
        found = likelihood.at(steps @ c)
        return Quadratic(found.value, steps.t() @ found.gradient, steps.t() @ found.hessian @ steps)

    found = minimise(function, region)
    assert found.steps <= 12 and found.gain < 1e-8
    assert all(0.0 <= each <= high for each in found.coefficients)
    assert (high in found.coefficients) == (high < 1)
    axis = torch.linspace(0, high, 9, dtype=torch.float64)
    near = torch.tensor(found.coefficients) + torch.cartesian_prod(
        *[torch.linspace(-0.02, 0.02, 3)] * 2
    )
    grid = [*torch.cartesian_prod(axis, axis), *near.double().clamp(0, high)]
    values = [function(each).value for each in grid]
    assert found.value <= min(values) + 1e-9
    assert found.value < max(values) - 1e-3


def test_on_a_simplex_the_coefficients_add_up_to_one(likelihood):
    region = Region((0.0, 0.0, 0.1), (1.0, 1.0, 1.0), fixed_sum=True)
    found = minimise(likelihood.at, region)
    assert sum(found.coefficients) == pytest.approx(1.0, abs=1e-12)
    assert min(found.coefficients) >= 0.0 and found.coefficients[2] >= 0.1
    steps = [n / 10 for n in range(11)]
    grid = [(a, b, 1 - a - b) for a, b in itertools.product(steps, steps) if a + b <= 0.9]
    values = [likelihood.at(torch.tensor(each, dtype=torch.float64)).value for each in grid]
    assert found.value <= min(values) + 1e-9


def test_a_step_keeps_to_its_bounds_and_is_the_best_within_them():
    source = torch.Generator().manual_seed(4)
    for fixed in (False, True):
        root = torch.randn(3, 2, generator=source, dtype=torch.float64)
        model = Quadratic(
            0.0, torch.randn(3, generator=source, dtype=torch.float64), root @ root.t()
        )
        region = Region((0.0, -0.2, 0.0), (0.6, 0.5, 1.0), fixed)
        at = region.start()
        step = best_step(model, at, region)
        low, high = (torch.tensor(e, dtype=torch.float64) for e in (region.low, region.high))
        assert ((at + step >= low - 1e-12) & (at + step <= high + 1e-12)).all()
        assert not fixed or abs(float(step.sum())) < 1e-12

        def value(step, model=model):
            return float(model.gradient @ step + 0.5 * step @ model.hessian @ step)

        for _ in range(300):
            other = low + (high - low) * torch.rand(3, generator=source, dtype=torch.float64)
            if fixed:
                other = other / other.sum()
                if ((other < low) | (other > high)).any():
                    continue
            assert value(step) <= value(other - at) + 1e-9
    assert Region((0.6, 0.6), (1.0, 1.0), fixed_sum=True).empty
