"""task_arithmetic against mergekit's outputs, and its corners."""

from __future__ import annotations

import torch

from engine.mergekit.method import MERGES

from ..golden import close, merged, of_published, outputs


def test_weighted_differences_are_mergekits() -> None:
    each = [{"weight": 0.3}, {"weight": 0.5}, {"weight": 0.2}]
    for name, wanted in outputs("ta_w"):
        assert close(MERGES["task_arithmetic"](of_published(name, each)), wanted), name


def test_normalize_and_lambda_are_mergekits() -> None:
    each = [{"weight": 0.9}, {"weight": 0.4}, {"weight": 0.7}]
    for name, wanted in outputs("ta_w_norm_l"):
        inputs = of_published(name, each, **{"normalize": True, "lambda": 0.8})
        assert close(MERGES["task_arithmetic"](inputs), wanted), name


def test_weights_are_rounded_to_the_type_of_the_tensors_first() -> None:
    base, model = torch.zeros(1, dtype=torch.bfloat16), torch.full((1,), 3.0, dtype=torch.bfloat16)
    got = merged("task_arithmetic", base, (model, {"weight": 0.7007}))
    rounded = torch.tensor(0.7007).bfloat16()
    assert got == rounded * 3 and got != torch.tensor(0.7007 * 3).bfloat16()


def test_a_base_alone_and_a_model_equal_to_it_are_the_base() -> None:
    base = torch.randn(3, 4)
    assert torch.equal(merged("task_arithmetic", base), base)
    assert torch.equal(merged("task_arithmetic", base, (base.clone(), {"weight": 0.5})), base)


def test_weights_that_sum_to_nothing_divide_by_one() -> None:
    base, one, other = torch.zeros(2), torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    got = merged(
        "task_arithmetic", base, (one, {"weight": 1.0}), (other, {"weight": -1.0}), normalize=True
    )
    assert got.tolist() == [1.0, -1.0]
