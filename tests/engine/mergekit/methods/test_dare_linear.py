"""dare_linear against mergekit's outputs, given its masks."""

from __future__ import annotations

from dataclasses import replace

import torch

from engine.mergekit import MERGES
from engine.mergekit.method import Inputs, Part

from ..golden import EXPERTS, close, of_published, outputs


def test_reference_outputs_given_the_mask() -> None:
    stored = dict(outputs("dare_linear_d0.5"))
    each = [{"weight": weight, "density": 0.5} for weight in (0.3, 0.5, 0.2)]
    for key, wanted in stored.items():
        kind, _, name = key.partition("/")
        if kind != "out":
            continue
        inputs = of_published(name, each)
        masks = [stored[f"keep_mask/{expert}/{name}"] for expert in EXPERTS]
        parts = [
            replace(part, lots=lambda mask=mask: torch.where(mask.bool(), 0.25, 0.75))
            for part, mask in zip(inputs.models, masks, strict=True)
        ]
        assert close(MERGES["dare_linear"](replace(inputs, models=parts)), wanted), name


def test_what_is_left_keeps_the_sum_of_magnitudes_unless_told_not_to() -> None:
    model = torch.tensor([1.0, -2, 3, 4])
    part = Part(model, {"weight": 1.0, "density": 0.5}, lambda: torch.tensor([0.1, 0.9, 0.2, 0.9]))

    def found(**values: bool) -> list[float]:
        return MERGES["dare_linear"](Inputs("x", torch.zeros(4), [part], values)).tolist()

    assert found() == [2.5, 0, 7.5, 0]
    assert found(rescale=False) == [1, 0, 3, 0]
