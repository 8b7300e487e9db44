"""The table of docs/models.md on a sample of classes, and that the table is about all of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.differential.classes import causal_classes
from tests.differential.paths import outcomes

SAMPLE = ("llama", "gpt2", "gemma2")
"""Classes that stand for many: a plain decoder, learned positions, soft caps and windows."""


@pytest.mark.parametrize("name", SAMPLE)
@pytest.mark.filterwarnings("ignore")
def test_every_path_is_equal_or_refused(name: str, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = outcomes(causal_classes()[name], tmp_path)
    finally:
        torch.set_num_threads(threads)
    assert {path: each for path, each in found.items() if not each.fine} == {}


def test_there_are_enough_classes() -> None:
    assert len({row.architecture for row in causal_classes().values()}) >= 90
