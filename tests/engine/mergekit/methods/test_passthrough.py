"""passthrough: one tensor, scaled if asked."""

from __future__ import annotations

import pytest
import torch

from engine.errors import BadInput

from ..golden import merged


def test_gives_the_tensor_itself_or_a_multiple() -> None:
    model = torch.randn(2, 3).half()
    assert merged("passthrough", None, (model, {})) is model
    assert torch.equal(merged("passthrough", None, (model, {"scale": 0.5})), model * 0.5)


def test_takes_one_model() -> None:
    with pytest.raises(BadInput, match="takes 1 model"):
        merged("passthrough", None, (torch.ones(1), {}), (torch.ones(1), {}))
