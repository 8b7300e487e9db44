from __future__ import annotations

import subprocess
import sys

import pytest

TORCH_FREE = (
    "headers", "tokenizer", "adapter", "checkpoint", "vocabulary", "structure", "compatibility",
    "fingerprint", "memory", "shards",
)  # fmt: skip


@pytest.mark.parametrize("name", TORCH_FREE)
def test_module_does_not_bring_torch(name: str) -> None:
    script = (
        f"import sys, engine.family.{name}\n"
        "print([each for each in ('torch', 'transformers', 'peft') if each in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
