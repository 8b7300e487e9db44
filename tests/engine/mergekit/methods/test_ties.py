"""ties against mergekit's outputs on the reference inputs, and what it keeps."""

from __future__ import annotations

import pytest
import torch

from engine.mergekit import MERGES

from ..golden import close, merged, of_published, outputs

CASES = {
    "ties_d0.2": (1.0, 1.0, 1.0, 0.2, {}),
    "ties_d0.2_resc": (0.9, 0.4, 0.7, 0.2, {"rescale": True}),
    "ties_d0.5_nonorm": (0.9, 0.4, 0.7, 0.5, {"normalize": False}),
}


@pytest.mark.parametrize("case", CASES)
def test_reference_outputs(case: str) -> None:
    *weights, density, values = CASES[case]
    each = [{"weight": weight, "density": density} for weight in weights]
    for name, wanted in outputs(case):
        assert close(MERGES["ties"](of_published(name, each, **values)), wanted), name


def test_below_one_element_one_is_kept_and_at_nothing_none() -> None:
    base, model = torch.zeros(2, 3), torch.tensor([[1.0, -5, 2], [0, 1, 3]])
    got = merged("ties", base, (model, {"weight": 1.0, "density": 0.01}))
    assert got.tolist() == [[0, -5, 0], [0, 0, 0]]
    assert torch.equal(merged("ties", base, (model, {"weight": 1.0, "density": 0.0})), base)


def test_of_equal_differences_the_sort_decides_which_are_kept() -> None:
    base, model = torch.zeros(40), torch.ones(40)
    got = merged("ties", base, (model, {"weight": 1.0, "density": 0.5}))
    kept = torch.argsort(torch.ones(40), descending=True)[:20]
    assert got.sum() == 20 and got[kept].all()


def test_a_sum_of_nothing_elects_the_positive_sign() -> None:
    base, up, down = torch.zeros(1), torch.ones(1), -torch.ones(1)
    got = merged("ties", base, (up, {"weight": 0.5}), (down, {"weight": 0.5}))
    assert got.item() == 1.0
