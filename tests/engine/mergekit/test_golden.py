"""Every method against what mergekit's own functions gave: tests/golden/mergekit/make.py."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.mergekit import MERGES
from engine.mergekit.method import Inputs, Part

from .golden import MADE, close

CASES = json.loads((MADE / "cases.json").read_text())


@pytest.fixture(scope="module")
def stored() -> Mapping[str, np.ndarray]:
    with np.load(MADE / "inputs.npz") as file:
        return dict(file)


def inputs_of(case: Mapping[str, Any], stored: Mapping[str, np.ndarray]) -> Inputs:
    def tensor(which: int) -> Tensor:
        found = torch.from_numpy(stored[f"{case['inputs']}/{which}"].copy())
        return found.to(getattr(torch, case["dtype"]))

    def part(which: int) -> Part:
        lots = torch.from_numpy(stored[f"{case['inputs']}/lots/{which}"])
        values = {name: each[which] for name, each in case["each"].items()}
        return Part(tensor(which + 1), values, lambda: lots)

    base = tensor(0) if case["base"] else None
    parts = [part(which) for which in range(case["models"])]
    return Inputs(case["inputs"], base, parts, case["shared"])


def cases_of(method: str) -> Iterator[tuple[dict[str, Any], Tensor | None]]:
    """Cases with mergekit's output; None where it refused or has no number."""
    with np.load(MADE / f"{method}.npz") as outputs:
        for case in CASES:
            if case["method"] != method:
                continue
            wanted = None
            if "output" in case and not np.isnan(outputs[case["output"]]).any():
                kind = getattr(torch, case["type"])
                wanted = torch.from_numpy(outputs[case["output"]]).to(kind)
            yield case, wanted


@pytest.mark.parametrize("method", MERGES)
def test_every_tensor_is_mergekits(method: str, stored: Mapping[str, np.ndarray]) -> None:
    checked = 0
    for case, wanted in cases_of(method):
        inputs = inputs_of(case, stored)
        held = [each.clone() for each in inputs.tensors]
        got = MERGES[method](inputs)
        assert all(torch.equal(x, y) for x, y in zip(inputs.tensors, held, strict=True)), case
        if wanted is None:  # nothing to meet: a number all the same
            assert got.isfinite().all() and got.shape == inputs.tensors[0].shape, case
        else:
            assert close(got, wanted), case
            checked += 1
    assert checked > 10
