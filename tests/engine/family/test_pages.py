"""Tensors that come and go take their memory from the process, not from the system."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

COUNT = """
import resource, sys
import torch
from engine.family.pages import keep_pages
if sys.argv[1] == "kept":
    assert keep_pages()
for turn in range(12):
    if turn == 4:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tensors = [torch.ones(1 << 20) for _ in range(6)]
    del tensors
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    """Page faults of 8 times 6 tensors of 4 MiB, in a process of its own."""
    run = [sys.executable, "-c", COUNT, how]
    return int(subprocess.run(run, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="not glibc")
def test_pages_of_freed_tensors_are_used_again() -> None:
    kept, returned = faults("kept"), faults("returned")
    assert kept < 1000 < returned  # 49,152 pages of 4 KiB are written
