"""breadcrumbs_ties against mergekit's outputs on the reference inputs, and what it keeps."""

from __future__ import annotations

import torch

from engine.mergekit import MERGES

from ..golden import close, merged, of_published, outputs


def test_reference_outputs() -> None:
    each = [{"weight": weight, "density": 0.5, "gamma": 0.05} for weight in (0.3, 0.5, 0.2)]
    for name, wanted in outputs("breadcrumbs_ties"):
        assert close(MERGES["breadcrumbs_ties"](of_published(name, each)), wanted), name


def test_the_largest_are_removed_and_fewer_where_shares_exceed_the_whole() -> None:
    base, model = torch.zeros(4), torch.tensor([1.0, 2, 3, 4])

    def kept(density: float, gamma: float) -> list[float]:
        values = {"weight": 1.0, "density": density, "gamma": gamma}
        return merged("breadcrumbs_ties", base, (model, values)).tolist()

    assert kept(0.5, 0.25) == [0, 2, 3, 0]
    assert kept(0.75, 0.5) == [1, 2, 3, 0]
    assert kept(0.25, 0.0) == [0, 0, 0, 4]
    assert kept(1.0, 0.5) == [1, 2, 3, 4]


def test_only_the_winning_sign_counts() -> None:
    base = torch.zeros(2)
    up, down = torch.tensor([3.0, 1.0]), torch.tensor([-1.0, -2.0])
    got = merged("breadcrumbs_ties", base, (up, {"weight": 1.0}), (down, {"weight": 1.0}))
    assert got.tolist() == [3, -2]
